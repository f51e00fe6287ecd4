# Installs the headers and the package that find_package(normnet CONFIG) reads.
include(CMakePackageConfigHelpers)

set(normnet_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/normnet)
set_target_properties(normnet_native PROPERTIES EXPORT_NAME native)
set_target_properties(normnet_viz PROPERTIES EXPORT_NAME viz)
set_target_properties(normnet_checkpoint PROPERTIES EXPORT_NAME checkpoint)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/normnet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS normnet normnet_native EXPORT normnetTargets)
install(EXPORT normnetTargets NAMESPACE normnet:: DESTINATION ${normnet_package_dir})

# Files of their own, because they are read only where stb or nlohmann's JSON is there.
install(TARGETS normnet_viz EXPORT normnetVizTargets)
install(EXPORT normnetVizTargets NAMESPACE normnet:: DESTINATION ${normnet_package_dir})
install(TARGETS normnet_checkpoint EXPORT normnetCheckpointTargets)
install(EXPORT normnetCheckpointTargets NAMESPACE normnet:: DESTINATION ${normnet_package_dir})

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/normnetConfig.cmake.in ${PROJECT_BINARY_DIR}/normnetConfig.cmake
  INSTALL_DESTINATION ${normnet_package_dir}
)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/normnetConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT
)
install(
  FILES ${PROJECT_BINARY_DIR}/normnetConfig.cmake ${PROJECT_BINARY_DIR}/normnetConfigVersion.cmake
        ${CMAKE_CURRENT_LIST_DIR}/Findstb.cmake ${CMAKE_CURRENT_LIST_DIR}/build_type.cmake ${CMAKE_CURRENT_LIST_DIR}/compiled.cmake
        ${CMAKE_CURRENT_LIST_DIR}/compiled.cpp
  DESTINATION ${normnet_package_dir}
)
