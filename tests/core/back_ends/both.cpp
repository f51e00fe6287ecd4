// A program of two files, one compiled with OpenMP and one without: each must have the threads of its own back end, whichever the
// linker meets first.
#include <iostream>

bool openmp_shares_loops();
bool pool_shares_loops();

int main() {
  const bool openmp = openmp_shares_loops(), pool = pool_shares_loops();
  if (!openmp) std::cerr << "the file with OpenMP: its loops run on one thread\n";
  if (!pool) std::cerr << "the file without OpenMP: its loops run on one thread\n";
  return openmp && pool ? 0 : 1;
}
