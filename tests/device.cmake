# The tests that a build for a device has: the runtime's, by the device or by an emulator.
file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/runtime/*.cpp")
add_executable(test_runtime ${sources} net/random_network.cpp)
target_include_directories(test_runtime PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_compile_definitions(test_runtime PRIVATE INSTANTNET_VERSION="${PROJECT_VERSION}")
target_compile_options(test_runtime PRIVATE ${INSTANTNET_WARNINGS} -Wno-conversion
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow;-Wno-restrict;-Wno-array-bounds>)
target_link_libraries(test_runtime PRIVATE instantnet_runtime instantnet_net instantnet_core fmt::fmt-header-only gmock gtest gtest_main)
# Emulated, kernels and sessions: the rest takes long. Linked statically: with shared libraries, programs of several threads do not
# return under qemu 7.2.
set(emulated NativeKernels.*:Session.Gives*)
if(INSTANTNET_EMULATED)
  target_link_options(test_runtime PRIVATE -static)
  foreach(processor ${INSTANTNET_EMULATED})
    add_test(NAME runtime-${processor} COMMAND ${INSTANTNET_EMULATOR} ${processor} $<TARGET_FILE:test_runtime>
      "--gtest_filter=${emulated}")
  endforeach()
else()
  add_test(NAME runtime COMMAND test_runtime)
endif()
