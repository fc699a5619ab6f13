# Headers, libraries, the binary and a CMake package: find_package(switchyard) gives switchyard::runtime.
install(DIRECTORY include/switchyard DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
