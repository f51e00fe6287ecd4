# Finds every dependency among the system's packages. One that is missing is fetched as a pinned release.
include(FetchContent)
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})

# Fetches a header-only library and makes `target` of the folder `include_folder` in its archive. Nothing of its own build runs,
# so its options, tests and install rules do not mix with ours.
function(normnet_fetch_headers name target include_folder url sha256)
  message(STATUS "normnet: ${name} is not installed, fetching ${url}")
  FetchContent_Declare(
    ${name}
    URL ${url}
    URL_HASH SHA256=${sha256}
    DOWNLOAD_EXTRACT_TIMESTAMP FALSE
    SOURCE_SUBDIR no-build
  )
  FetchContent_MakeAvailable(${name})
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${${name}_SOURCE_DIR}/${include_folder})
endfunction()

# Without a version, for Eigen's packages accept one of their own major version only, and both 3.4 and 5 will do.
if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 QUIET CONFIG)
  if(Eigen3_FOUND AND (Eigen3_VERSION VERSION_LESS 3.4 OR Eigen3_VERSION VERSION_GREATER_EQUAL 6))
    message(FATAL_ERROR "normnet: expected Eigen 3.4 or 5, got ${Eigen3_VERSION} in ${Eigen3_DIR}. Set Eigen3_DIR to the folder of another "
                        "one's Eigen3Config.cmake, or CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON to fetch it.")
  endif()
endif()
if(NOT TARGET Eigen3::Eigen)
  normnet_fetch_headers(
    eigen Eigen3::Eigen "" https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz
    8586084f71f9bde545ee7fa6d00288b264a2b7ac3607b974e54d13e7162c1c72
  )
endif()

set(NORMNET_HAS_OPENMP FALSE)
if(NORMNET_OPENMP)
  find_package(OpenMP QUIET COMPONENTS CXX)
  set(NORMNET_HAS_OPENMP ${OpenMP_CXX_FOUND})
  if(NOT NORMNET_HAS_OPENMP)
    message(STATUS "normnet: this compiler has no OpenMP (Clang on Debian: libomp-dev), so loops run on a pool of std::thread")
  endif()
endif()
if(NOT NORMNET_HAS_OPENMP OR NORMNET_TESTS)
  find_package(Threads REQUIRED)
endif()

find_package(stb QUIET)
if(NOT TARGET stb::stb)
  if(NORMNET_EXAMPLES OR NORMNET_BENCHMARKS OR NORMNET_TESTS)
    normnet_fetch_headers(
      stb stb::stb "" https://github.com/nothings/stb/archive/8b5f1f37b5b75829fc72d38e7b5d4bcbf8a26d55.zip
      93a16ee3e866e719feec459f6f132cce932c5ec751eb38e3ec1975f911353d2e
    )
  endif()
endif()

find_package(nlohmann_json 3 QUIET CONFIG)
if(NOT TARGET nlohmann_json::nlohmann_json)
  if(NORMNET_EXAMPLES OR NORMNET_BENCHMARKS OR NORMNET_TESTS OR NORMNET_FUZZ)
    normnet_fetch_headers(
      json nlohmann_json::nlohmann_json include https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
      d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d
    )
  endif()
endif()

if(NORMNET_EXAMPLES OR NORMNET_BENCHMARKS OR NORMNET_TESTS)
  find_package(CLI11 QUIET CONFIG)
  if(NOT TARGET CLI11::CLI11)
    normnet_fetch_headers(
      cli11 CLI11::CLI11 include https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
      f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
    )
  endif()
endif()

if(NORMNET_BENCHMARKS)
  find_package(benchmark 1.7 QUIET CONFIG)
  if(NOT TARGET benchmark::benchmark)
    message(STATUS "normnet: Google Benchmark is not installed, fetching 1.8.3")
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    FetchContent_Declare(
      benchmark
      URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
      URL_HASH SHA256=6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce
      DOWNLOAD_EXTRACT_TIMESTAMP FALSE
      SYSTEM
    )
    FetchContent_MakeAvailable(benchmark)
  endif()
endif()

if(NORMNET_TESTS)
  find_package(Catch2 3 QUIET CONFIG)
  if(NOT Catch2_FOUND)
    find_package(Catch2 2 QUIET CONFIG)
  endif()
  if(NOT Catch2_FOUND)
    message(STATUS "normnet: Catch2 is not installed, fetching 3.5.4")
    FetchContent_Declare(
      Catch2
      URL https://github.com/catchorg/Catch2/archive/refs/tags/v3.5.4.tar.gz
      URL_HASH SHA256=b7754b711242c167d8f60b890695347f90a1ebc95949a045385114165d606dbb
      DOWNLOAD_EXTRACT_TIMESTAMP FALSE
      SYSTEM
    )
    FetchContent_MakeAvailable(Catch2)
  endif()
endif()
