# Two precompiled headers: one of all targets on top of libtorch, one of all other tests. A compiler accepts one only from a
# compilation with the same code generation flags and macros: executables are therefore compiled as position-independent code
# like the libraries, and linked as any other.

# switchyard_reuse_header(target header_target)
function(switchyard_reuse_header target header_target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${header_target})
endfunction()

# switchyard_torch_target(target): a library or executable whose sources include libtorch. Called by the functions of
# Switchyard.cmake for TORCH.
function(switchyard_torch_target target)
  target_compile_options(${target} PRIVATE $<TARGET_PROPERTY:switchyard_torch_pch,COMPILE_OPTIONS>)
  switchyard_reuse_header(${target} switchyard_torch_pch)
endfunction()

if(SWITCHYARD_TORCH)
  add_library(switchyard_torch_pch STATIC ${PROJECT_SOURCE_DIR}/src/models/torch_pch.cc)
  target_compile_features(switchyard_torch_pch PUBLIC cxx_std_20)
  target_link_libraries(switchyard_torch_pch PUBLIC torch PRIVATE switchyard_flags)
  # Of all those targets, too. Their time is libtorch's and the kernels', not their own: -O1 halves what they take to compile.
  # The vectorised loops of -O3 stay, for the sums over items in expert_grouped.cc.
  target_compile_options(switchyard_torch_pch PRIVATE
    $<$<CONFIG:Release>:-O1> $<$<CONFIG:Release>:-ftree-loop-vectorize> $<$<CONFIG:Release>:-ftree-slp-vectorize>)
  target_precompile_headers(switchyard_torch_pch PRIVATE ${PROJECT_SOURCE_DIR}/src/models/torch_pch.h)
endif()

if(SWITCHYARD_TESTS AND NOT SWITCHYARD_FUZZ)
  add_library(switchyard_test_pch STATIC ${PROJECT_SOURCE_DIR}/tests/support/test_pch.cc)
  target_compile_features(switchyard_test_pch PUBLIC cxx_std_20)
  target_link_libraries(switchyard_test_pch PRIVATE switchyard_flags fmt::fmt nlohmann_json::nlohmann_json GTest::gmock GTest::gtest_main)
  switchyard_compile_quickly(switchyard_test_pch)
  target_precompile_headers(switchyard_test_pch PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/test_pch.h)
endif()
