// What the library asks of the compiler's options and of the headers that come before it. Every header of normnet includes this one.
#pragma once

// Checks for values that are not finite compile to nothing under these options, and a loss that became nan would go unnoticed.
#if !defined(NORMNET_ALLOW_FINITE_MATH) && ((defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST))
#error \
    "normnet finds values that are not finite, which -Ofast, -ffast-math and -ffinite-math-only let the compiler assume away: \
add -fno-finite-math-only, or define NORMNET_ALLOW_FINITE_MATH to do without these checks"
#endif

// Macros with the names of functions of the standard library, which the library calls.
#if defined(min) || defined(max)
#error \
    "min or max is a macro here, which breaks std::min and std::max: define NOMINMAX before including <windows.h>, \
or #undef both before including normnet"
#endif
#if defined(abs) || defined(round)
#error \
    "abs or round is a macro here, as <Arduino.h> makes them, which breaks std::abs and std::round: \
#undef both before including normnet"
#endif

// Whether this translation unit is compiled without optimization, and its programs are to say so; see warn_if_unoptimized().
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__OPTIMIZE__) && !defined(NORMNET_COMPILED) && \
    !defined(NORMNET_NO_OPTIMIZATION_WARNING)
#define NORMNET_WARNS_UNOPTIMIZED true
#else
#define NORMNET_WARNS_UNOPTIMIZED false
#endif
