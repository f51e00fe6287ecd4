#!/usr/bin/env bash
# Tests what CMake says and finds when it configures a project that uses normnet, as a subdirectory and installed: a build type that is
# missing, Eigen 3.4 and 5, another Eigen.
#
#   configure_test.sh SCRATCH_DIR CMAKE COMPILER GENERATOR BUILD_DIR EIGEN_HEADERS
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=${1:?expected a scratch folder}/configure
cmake=${2:?expected cmake} compiler=${3:?expected a compiler} generator=${4:?expected a generator} build=${5:?expected a build folder}
eigen_headers=${6:?expected the folder of the headers of Eigen}
rm -rf "$scratch"
mkdir -p "$scratch"/{project,eigen}
cd "$scratch"
scratch=$(pwd -P)

cat >project/CMakeLists.txt <<'EOF'
cmake_minimum_required(VERSION 3.25)
project(first CXX)
if(NORMNET)
  add_subdirectory(${NORMNET} normnet)
else()
  find_package(normnet CONFIG REQUIRED)
endif()
add_executable(first first.cpp)
target_link_libraries(first PRIVATE normnet::normnet)
EOF
echo '#include <normnet/core/tensor.hpp>
int main() { return static_cast<int>(normnet::Tensor<float>({2, 3}).size()) - 6; }' >project/first.cpp

# The headers of this build's Eigen as one of version $1, whose package accepts its own major version only, as Eigen's do.
make_eigen() {
  mkdir -p "eigen/$1/share/eigen3/cmake"
  cat >"eigen/$1/share/eigen3/cmake/Eigen3Config.cmake" <<EOF
if(NOT TARGET Eigen3::Eigen)
  add_library(Eigen3::Eigen INTERFACE IMPORTED GLOBAL)
  set_target_properties(Eigen3::Eigen PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "$eigen_headers")
  message(STATUS "Eigen is $1")
endif()
EOF
  cat >write_version.cmake <<EOF
include(CMakePackageConfigHelpers)
write_basic_package_version_file(
  $scratch/eigen/$1/share/eigen3/cmake/Eigen3ConfigVersion.cmake VERSION $1 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
EOF
  "$cmake" -P write_version.cmake
}

failures=0
expect() {  # a description, whether CMake succeeds, how often its output holds which text, then CMake's options
  local what=$1 success=$2 count=$3 text=$4 got=yes found
  shift 4
  "$cmake" -S project -B build -G "$generator" -DCMAKE_CXX_COMPILER="$compiler" -U Eigen3_DIR -U normnet_DIR -U NORMNET \
    -U CMAKE_PREFIX_PATH -U CMAKE_BUILD_TYPE -U CMAKE_CXX_FLAGS "$@" >output 2>&1 || got=no
  found=$(tr '\n' ' ' <output | tr --squeeze-repeats ' ' | { grep --only-matching --fixed-strings "$text" || true; } | wc -l)
  if [[ $got != "$success" || $found -ne $count ]]; then
    echo "FAILED: $what: expected success '$success' and $count times '$text', got '$got' and $found times:"
    cat output
    failures=$((failures + 1))
  fi
}

untyped="CMAKE_BUILD_TYPE is empty"
subdirectory=(-DNORMNET="$source" -DNORMNET_OPENMP=OFF -DNORMNET_ARCH_FLAGS=)
"$cmake" --install "$build" --prefix "$scratch/prefix" >/dev/null
installed=(-DCMAKE_PREFIX_PATH="$scratch/prefix")

expect "a subdirectory without a build type" yes 1 "$untyped" "${subdirectory[@]}"
expect "a subdirectory with a build type" yes 0 "$untyped" "${subdirectory[@]}" -DCMAKE_BUILD_TYPE=Release
expect "a subdirectory with flags instead" yes 0 "$untyped" "${subdirectory[@]}" -DCMAKE_CXX_FLAGS=-O2
for eigen in 3.4.0 5.0.1; do
  make_eigen $eigen
  expect "a subdirectory with Eigen $eigen" yes 1 "Eigen is $eigen" "${subdirectory[@]}" -DCMAKE_PREFIX_PATH="$scratch/eigen/$eigen"
  "$cmake" --build build >output 2>&1 || { echo "FAILED: with Eigen $eigen:"; cat output; failures=$((failures + 1)); }
  expect "installed, with Eigen $eigen" yes 1 "Eigen is $eigen" "-DCMAKE_PREFIX_PATH=$scratch/eigen/$eigen;$scratch/prefix"
  "$cmake" --build build >output 2>&1 || { echo "FAILED: installed, with Eigen $eigen:"; cat output; failures=$((failures + 1)); }
done
make_eigen 3.3.9
wrong="expected Eigen 3.4 or 5, got 3.3.9"
expect "a subdirectory with an Eigen that is too old" no 1 "$wrong" "${subdirectory[@]}" -DCMAKE_PREFIX_PATH="$scratch/eigen/3.3.9"
expect "installed, with an Eigen that is too old" no 1 "$wrong" "-DCMAKE_PREFIX_PATH=$scratch/eigen/3.3.9;$scratch/prefix"

cd /
rm -rf "$scratch"
exit $((failures > 0))
