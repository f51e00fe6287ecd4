// Compiled with OpenMP.
#include "shares_loops.hpp"

#ifndef _OPENMP
#error expected to be compiled with OpenMP
#endif

bool openmp_shares_loops();
bool openmp_shares_loops() { return shares_loops(); }
