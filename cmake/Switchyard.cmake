# One function per kind of target, so that every folder's CMakeLists.txt is a list of files and dependencies.

find_program(SWITCHYARD_CCACHE ccache)
if(SWITCHYARD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${SWITCHYARD_CCACHE}")
endif()

# Flags every target of the project gets, and nobody who links to an installed library.
add_library(switchyard_flags INTERFACE)
target_compile_options(switchyard_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # Products and sums of floats are rounded as written in every file: a kernel asks for a fused operation by name.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these for its own standard library at -O2 and above.
  target_compile_options(switchyard_flags INTERFACE
    -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized -Wno-stringop-overread)
endif()
if(SWITCHYARD_SANITIZE)
  target_compile_options(switchyard_flags INTERFACE
    -fsanitize=${SWITCHYARD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(switchyard_flags INTERFACE -fsanitize=${SWITCHYARD_SANITIZE})
endif()
if(SWITCHYARD_FUZZ)
  target_compile_options(switchyard_flags INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  target_link_options(switchyard_flags INTERFACE -fsanitize=address,undefined)
endif()

# switchyard_compile_quickly(target): for code that nobody waits for when it runs, -O1 even in a release: it takes two thirds of
# the time to compile.
function(switchyard_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# switchyard_library(NAME [TORCH] [QUICK] sources... DEPS public targets... PRIVATE_DEPS targets...)
# Makes switchyard_<NAME> (alias switchyard::<NAME>). TORCH: its sources include libtorch. QUICK: see switchyard_compile_quickly.
function(switchyard_library name)
  cmake_parse_arguments(A "TORCH;QUICK" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(switchyard_${name} STATIC ${A_SOURCES})
  add_library(switchyard::${name} ALIAS switchyard_${name})
  set_target_properties(switchyard_${name} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(switchyard_${name} PUBLIC cxx_std_20)
  target_include_directories(switchyard_${name}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(switchyard_${name} PUBLIC ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS} $<BUILD_INTERFACE:switchyard_flags>)
  if(A_TORCH)
    switchyard_torch_target(switchyard_${name})
  elseif(A_QUICK)
    switchyard_compile_quickly(switchyard_${name})
  endif()
endfunction()

# switchyard_test(NAME [TORCH] sources... DEPS targets...): one GoogleTest binary, one CTest entry.
function(switchyard_test name)
  if(NOT SWITCHYARD_TESTS OR SWITCHYARD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "TORCH" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 600)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${A_DEPS} switchyard_flags fmt::fmt GTest::gmock GTest::gtest_main)
  if(A_TORCH)
    switchyard_torch_target(${name})
  else()
    switchyard_compile_quickly(${name})
    switchyard_reuse_header(${name} switchyard_test_pch)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  # OpenMP threads that spin take the cores from whatever else runs, tests beside this one included.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} ENVIRONMENT GOMP_SPINCOUNT=1000)
  if(A_TORCH AND SWITCHYARD_SANITIZE MATCHES "thread")
    # libgomp is not instrumented, and its barriers look like races: one thread leaves none.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT OMP_NUM_THREADS=1)
  endif()
endfunction()

# switchyard_fuzz(NAME sources... DEPS targets...): one libFuzzer target, built by the fuzz preset only.
function(switchyard_fuzz name)
  if(NOT SWITCHYARD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${A_DEPS} switchyard_flags)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY SWITCHYARD_FUZZ_TARGETS ${name})
endfunction()

# switchyard_bench(NAME [TORCH] [QUICK] sources... DEPS targets...)
function(switchyard_bench name)
  cmake_parse_arguments(A "TORCH;QUICK" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name} PRIVATE ${A_DEPS} switchyard_flags)
  if(A_TORCH)
    switchyard_torch_target(${name})
  elseif(A_QUICK)
    switchyard_compile_quickly(${name})
  endif()
endfunction()
