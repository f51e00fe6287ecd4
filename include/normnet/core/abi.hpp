// The name under which this translation unit's version of the library is linked.
//
// Code that is compiled for different instruction sets, or for different back ends of threads, must not meet under one name in a
// program: the linker would keep one version of each function. All that depends on either lives in the inline namespace NORMNET_ABI,
// such as normnet::avx512_openmp.
#pragma once

#include <normnet/core/requirements.hpp>

#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
#define NORMNET_SIMD plain
#elif defined(__AVX512F__)
#define NORMNET_SIMD avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define NORMNET_SIMD avx2
#elif defined(__AVX__)
#define NORMNET_SIMD avx
#elif defined(__SSE2__)
#define NORMNET_SIMD sse2
#elif defined(__ARM_NEON)
#define NORMNET_SIMD neon
#else
#define NORMNET_SIMD generic
#endif

// Loops run on OpenMP's threads, or on a pool of std::thread: without OpenMP, or where NORMNET_THREAD_POOL asks for it.
#if defined(_OPENMP) && !defined(NORMNET_THREAD_POOL)
#define NORMNET_OPENMP_THREADS
#define NORMNET_THREADS openmp
#else
#define NORMNET_THREADS pool
#endif

#define NORMNET_JOIN_(simd, threads) simd##_##threads
#define NORMNET_JOIN(simd, threads) NORMNET_JOIN_(simd, threads)
#define NORMNET_ABI NORMNET_JOIN(NORMNET_SIMD, NORMNET_THREADS)
