# cmake --install gives the headers, the libraries of the runtime, a CMake package and the binary with its training module.
include(CMakePackageConfigHelpers)
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/switchyard)

install(DIRECTORY include/switchyard DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS
    switchyard_base switchyard_routing switchyard_kernels switchyard_formats switchyard_tokenizer switchyard_chat_template
    switchyard_experts switchyard_runtime
  EXPORT switchyardTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT switchyardTargets NAMESPACE switchyard:: DESTINATION ${package_directory})
configure_package_config_file(cmake/switchyardConfig.cmake.in ${PROJECT_BINARY_DIR}/switchyardConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/switchyardConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/switchyardConfig.cmake ${PROJECT_BINARY_DIR}/switchyardConfigVersion.cmake
  DESTINATION ${package_directory})

install(TARGETS switchyard RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET switchyard_training)
  # Not in the multi-architecture directory: the binary looks for it beside itself, at ../lib/switchyard.
  install(TARGETS switchyard_training LIBRARY DESTINATION lib/switchyard)
endif()
