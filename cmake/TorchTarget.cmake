# libtorch's headers take longer to compile than most files that include them, so all targets on top of it share one
# precompiled header. A compiler accepts it only from a compilation with the same code generation flags: executables are
# therefore compiled as position-independent code like the libraries, and linked as any other.

# switchyard_torch_target(target): gives a library or test the shared precompiled header.
function(switchyard_torch_target target)
  if(NOT TARGET ${target})
    return()  # switchyard_test() makes nothing when tests are off
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
    if(SWITCHYARD_SANITIZE MATCHES "thread" AND TEST ${target})
      # libgomp is not instrumented, and its barriers look like races: one thread leaves none.
      set_tests_properties(${target} PROPERTIES ENVIRONMENT OMP_NUM_THREADS=1)
    endif()
  endif()
  target_compile_options(${target} PRIVATE $<TARGET_PROPERTY:switchyard_torch_pch,COMPILE_OPTIONS>)
  target_precompile_headers(${target} REUSE_FROM switchyard_torch_pch)
endfunction()
