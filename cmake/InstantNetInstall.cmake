# libinstantnet_runtime, static and shared, and what is installed: headers, libraries, CMake package, pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# What the runtime uses of other rooms.
set(core_files "/core/(checksum|error|file|format|plain_scalar|sha256_[a-z]+|tree)\\.cpp")
set(net_files "/net/(node_fields|precision|spec|spec_check)\\.cpp")

set(digest_library)
if(INSTANTNET_OPENSSL)
  set(digest_library OpenSSL::Crypto)
endif()

add_library(instantnet_runtime_static STATIC
  $<TARGET_OBJECTS:instantnet_runtime>
  $<FILTER:$<TARGET_OBJECTS:instantnet_core>,INCLUDE,${core_files}>
  $<FILTER:$<TARGET_OBJECTS:instantnet_net>,INCLUDE,${net_files}>)
set_target_properties(instantnet_runtime_static PROPERTIES LINKER_LANGUAGE CXX
  ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/dist")
target_link_libraries(instantnet_runtime_static PRIVATE Threads::Threads ${digest_library})

# Only the C functions are visible.
add_library(instantnet_runtime_shared SHARED src/instantnet/runtime/c_api.cpp)
set_target_properties(instantnet_runtime_shared PROPERTIES
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/dist"
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_options(instantnet_runtime_shared PRIVATE ${INSTANTNET_WARNINGS})
target_compile_definitions(instantnet_runtime_shared PRIVATE INSTANTNET_VERSION="${PROJECT_VERSION}" FMT_HEADER_ONLY)
target_include_directories(instantnet_runtime_shared PRIVATE "${PROJECT_SOURCE_DIR}/src")
target_link_libraries(instantnet_runtime_shared PRIVATE instantnet_runtime_static)
target_link_options(instantnet_runtime_shared PRIVATE
  "-Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/instantnet-runtime.map" -Wl,--gc-sections -Wl,--as-needed)
if(NOT INSTANTNET_SANITIZE)
  target_link_options(instantnet_runtime_shared PRIVATE -Wl,-z,defs)
endif()

foreach(kind static shared)
  set_target_properties(instantnet_runtime_${kind} PROPERTIES
    OUTPUT_NAME instantnet_runtime EXPORT_NAME runtime_${kind})
  target_include_directories(instantnet_runtime_${kind} INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
endforeach()

set_target_properties(instantnet_runtime_shared PROPERTIES LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/instantnet-runtime.map")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/InstantNet")
install(TARGETS instantnet_runtime_static instantnet_runtime_shared EXPORT InstantNetRuntime
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES src/instantnet/runtime/instantnet.h src/instantnet/runtime/instantnet.hpp
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/instantnet/runtime" COMPONENT runtime)
install(EXPORT InstantNetRuntime NAMESPACE InstantNet:: DESTINATION "${package_dir}" COMPONENT runtime)
configure_package_config_file(cmake/InstantNetConfig.cmake.in "${PROJECT_BINARY_DIR}/InstantNetConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/InstantNetConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/InstantNetConfig.cmake" "${PROJECT_BINARY_DIR}/InstantNetConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT runtime)

set(pc_private "-lstdc++ -lm -pthread")
if(INSTANTNET_OPENSSL)
  string(APPEND pc_private " -lcrypto")
endif()
configure_file(cmake/instantnet-runtime.pc.in "${PROJECT_BINARY_DIR}/instantnet-runtime.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/instantnet-runtime.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT runtime)
