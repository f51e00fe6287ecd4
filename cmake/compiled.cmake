# normnet::compiled: normnet::native with its class templates for float compiled once, optimized whatever the build type, instead of
# in every file that uses them. It is built in the project that links it, with that project's flags, and by nobody else; so a library
# that links it cannot be exported with it.
add_library(normnet_compiled STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/compiled.cpp)
add_library(normnet::compiled ALIAS normnet_compiled)
set_target_properties(normnet_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)  # for shared libraries
target_compile_definitions(normnet_compiled INTERFACE NORMNET_COMPILED)
target_compile_options(normnet_compiled PRIVATE -O3)
target_link_libraries(normnet_compiled PUBLIC normnet::native)
