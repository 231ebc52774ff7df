# How a room, the program and a test are built. One place for flags.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
# Benchmarks and tests of bit equality need one meaning of a * b + c on every path.
# -fPIC everywhere, programs too, so that all share one precompiled header.
add_compile_options(-ffp-contract=off -fPIC)

find_program(INSTANTNET_CCACHE ccache)
if(INSTANTNET_CCACHE)
  # Without these ccache never reuses an object that was built with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${INSTANTNET_CCACHE}")
endif()

if(INSTANTNET_SANITIZE)
  add_compile_options(-fsanitize=${INSTANTNET_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${INSTANTNET_SANITIZE})
endif()

set(INSTANTNET_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)

# instantnet_room(NAME [TORCH] [ROOMS room...] [USES library...])
# Library instantnet_NAME from src/instantnet/NAME/*.cpp.
function(instantnet_room name)
  cmake_parse_arguments(room "TORCH" "" "ROOMS;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/instantnet/${name}/*.cpp")
  add_library(instantnet_${name} STATIC ${sources})
  add_library(instantnet::${name} ALIAS instantnet_${name})
  target_include_directories(instantnet_${name} PUBLIC "${PROJECT_SOURCE_DIR}/src")
  target_compile_options(instantnet_${name} PRIVATE ${INSTANTNET_WARNINGS})
  list(TRANSFORM room_ROOMS PREPEND instantnet_)
  target_link_libraries(instantnet_${name} PUBLIC ${room_ROOMS} PRIVATE ${room_USES})
  if(room_TORCH)
    instantnet_use_torch(instantnet_${name})
  endif()
endfunction()

# instantnet_choose_digest(TARGET): SHA-256 by OpenSSL or by our own file.
function(instantnet_choose_digest target)
  get_target_property(sources ${target} SOURCES)
  if(INSTANTNET_OPENSSL)
    list(FILTER sources EXCLUDE REGEX "/sha256_plain\\.cpp$")
    target_link_libraries(${target} PRIVATE OpenSSL::Crypto)
  else()
    list(FILTER sources EXCLUDE REGEX "/sha256_openssl\\.cpp$")
  endif()
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
endfunction()

# The command line program: cli/*.cpp needs no torch, cli/torch/*.cpp does; without torch cli/none/*.cpp stands in.
function(instantnet_program)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/instantnet/cli/*.cpp")
  if(INSTANTNET_TORCH)
    file(GLOB more CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/instantnet/cli/torch/*.cpp")
  else()
    file(GLOB more CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/instantnet/cli/none/*.cpp")
  endif()
  set(INSTANTNET_SOURCE)
  find_package(Git QUIET)
  if(GIT_FOUND)
    execute_process(COMMAND "${GIT_EXECUTABLE}" describe --always --dirty --tags WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE INSTANTNET_SOURCE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  configure_file(src/instantnet/cli/build_facts.cpp.in "${PROJECT_BINARY_DIR}/build_facts.cpp" @ONLY)
  add_executable(instantnet ${sources} ${more} "${PROJECT_BINARY_DIR}/build_facts.cpp")
  target_compile_options(instantnet PRIVATE ${INSTANTNET_WARNINGS})
  target_compile_definitions(instantnet PRIVATE INSTANTNET_VERSION="${PROJECT_VERSION}")
  target_link_libraries(instantnet PRIVATE instantnet_core instantnet_net instantnet_images instantnet_runtime instantnet_mapper instantnet_interop instantnet_bundle instantnet_flow instantnet_report nlohmann_json::nlohmann_json fmt::fmt)
  if(INSTANTNET_TORCH)
    target_link_libraries(instantnet PRIVATE instantnet_freeze instantnet_nas instantnet_train instantnet_data instantnet_nn instantnet_quant)
    instantnet_use_torch(instantnet)
  endif()
endfunction()

# instantnet_test(NAME [TORCH] [ROOMS room...] [USES library...]): program test_NAME from tests/NAME/*_test.cpp.
function(instantnet_test name)
  cmake_parse_arguments(test "TORCH" "" "ROOMS;USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/${name}/*.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_include_directories(test_${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  # Tests are built quickly rather than fast; g++ 12 warns falsely about inlined strings.
  target_compile_options(test_${name} PRIVATE ${INSTANTNET_WARNINGS} -Wno-conversion -O1
    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow;-Wno-restrict;-Wno-array-bounds>)
  if(INSTANTNET_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 then also takes what libtorch's headers leave empty for uninitialized.
    target_compile_options(test_${name} PRIVATE -Wno-maybe-uninitialized)
  endif()
  target_compile_definitions(test_${name} PRIVATE
    INSTANTNET_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    INSTANTNET_SHARED_DIR="${PROJECT_SOURCE_DIR}/../shared"
    INSTANTNET_PROGRAM="$<TARGET_FILE:instantnet>")
  list(TRANSFORM test_ROOMS PREPEND instantnet_)
  target_link_libraries(test_${name} PRIVATE ${test_ROOMS} ${test_USES} fmt::fmt nlohmann_json::nlohmann_json
                        GTest::gmock GTest::gtest GTest::gtest_main)
  if(test_TORCH)
    instantnet_use_torch(test_${name})
  endif()
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 900)
endfunction()
