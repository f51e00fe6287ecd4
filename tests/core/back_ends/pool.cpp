// Compiled without OpenMP.
#include "shares_loops.hpp"

#ifdef _OPENMP
#error expected to be compiled without OpenMP
#endif

bool pool_shares_loops();
bool pool_shares_loops() { return shares_loops(); }
