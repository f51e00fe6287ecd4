// Eigen, without a false warning of g++ 12 about its AVX-512 code (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593).
#pragma once

#include <normnet/core/requirements.hpp>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <Eigen/Core>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
