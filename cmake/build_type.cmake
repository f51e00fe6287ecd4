# Says, once in a project, that it is configured without a build type and so without optimization.
get_property(normnet_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
get_property(normnet_told_build_type GLOBAL PROPERTY normnet_told_build_type)
if(NOT CMAKE_BUILD_TYPE AND NOT normnet_multi_config AND NOT normnet_told_build_type AND NOT CMAKE_CXX_FLAGS MATCHES "(^| )[-/]O")
  set_property(GLOBAL PROPERTY normnet_told_build_type TRUE)
  message(WARNING "normnet: CMAKE_BUILD_TYPE is empty, so nothing is optimized but normnet::compiled, and networks train "
                  "many times slower. Configure with -DCMAKE_BUILD_TYPE=Release.")
endif()
