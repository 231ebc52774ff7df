# What is installed, by component: runtime (libinstantnet_runtime, static and shared), mapper (libinstantnet_core and _mapper),
# train (libinstantnet_train; needs mapper), program. Headers, CMake package and pkg-config files go with the libraries.
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
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")

# instantnet_install_component(NAME): its CMake package and pkg-config file; targets are in the export ${export_NAME}.
set(export_runtime InstantNetRuntime)
set(export_mapper InstantNetMapper)
set(export_train InstantNetTrain)
function(instantnet_install_component name)
  install(EXPORT ${export_${name}} NAMESPACE InstantNet:: DESTINATION "${package_dir}" COMPONENT ${name})
  install(FILES "${PROJECT_BINARY_DIR}/InstantNetConfig.cmake" "${PROJECT_BINARY_DIR}/InstantNetConfigVersion.cmake"
    DESTINATION "${package_dir}" COMPONENT ${name})
  configure_file(cmake/instantnet-${name}.pc.in "${PROJECT_BINARY_DIR}/instantnet-${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/instantnet-${name}.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT ${name})
endfunction()

# instantnet_cxx_library(NAME COMPONENT ROOMS room... USES library...): libinstantnet_NAME.so of these rooms, with their headers.
function(instantnet_cxx_library name component)
  cmake_parse_arguments(library "" "" "ROOMS;USES" ${ARGN})
  set(objects)
  foreach(room ${library_ROOMS})
    list(APPEND objects $<TARGET_OBJECTS:instantnet_${room}>)
    # Files that are included in the middle of others are no headers.
    install(DIRECTORY "src/instantnet/${room}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/instantnet" COMPONENT ${component}
      FILES_MATCHING PATTERN "*.h" REGEX "/(simd|avx2|avx512|neon)_[a-z0-9_]*\\.h$" EXCLUDE)
  endforeach()
  add_library(instantnet_${name}_shared SHARED ${objects})
  set_target_properties(instantnet_${name}_shared PROPERTIES OUTPUT_NAME instantnet_${name} EXPORT_NAME ${name}
    LINKER_LANGUAGE CXX LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/dist" INSTALL_RPATH "$ORIGIN"
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_include_directories(instantnet_${name}_shared INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_compile_features(instantnet_${name}_shared INTERFACE cxx_std_20)
  target_link_libraries(instantnet_${name}_shared ${library_USES})
  target_link_options(instantnet_${name}_shared PRIVATE -Wl,--as-needed)
  if(NOT INSTANTNET_SANITIZE)
    target_link_options(instantnet_${name}_shared PRIVATE -Wl,-z,defs)
  endif()
  install(TARGETS instantnet_${name}_shared EXPORT ${export_${component}}
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component})
endfunction()

configure_package_config_file(cmake/InstantNetConfig.cmake.in "${PROJECT_BINARY_DIR}/InstantNetConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/InstantNetConfigVersion.cmake" COMPATIBILITY SameMinorVersion)

install(TARGETS instantnet_runtime_static instantnet_runtime_shared EXPORT InstantNetRuntime
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES src/instantnet/runtime/instantnet.h src/instantnet/runtime/instantnet.hpp
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/instantnet/runtime" COMPONENT runtime)
set(pc_private "-lstdc++ -lm -pthread")
if(INSTANTNET_OPENSSL)
  string(APPEND pc_private " -lcrypto")
endif()
instantnet_install_component(runtime)

if(NOT INSTANTNET_DEVICE)
  instantnet_cxx_library(core mapper ROOMS core net USES PRIVATE yaml-cpp Threads::Threads ${digest_library})
  instantnet_cxx_library(mapper mapper ROOMS mapper USES PUBLIC instantnet_core_shared PRIVATE fmt::fmt Threads::Threads)
  instantnet_install_component(mapper)
endif()

if(INSTANTNET_TORCH)
  set(torch_rooms images data quant nn train nas freeze)
  set(torch_uses instantnet_torch fmt::fmt ZLIB::ZLIB opencv_imgcodecs opencv_imgproc opencv_core gomp)
  if(INSTANTNET_DNNL_INCLUDE AND INSTANTNET_DNNL_LIBRARY)
    list(APPEND torch_uses "${INSTANTNET_DNNL_LIBRARY}")
  endif()
  # What freezing writes comes from the runtime's C++ side, which libinstantnet_runtime does not show.
  instantnet_cxx_library(train train ROOMS ${torch_rooms} runtime
    USES PUBLIC instantnet_core_shared PRIVATE ${torch_uses} ${digest_library})
  set(pc_torch "${TORCH_CXX_FLAGS}")
  set(folders ${TORCH_INCLUDE_DIRS})
  list(REMOVE_ITEM folders /usr/include)  # compilers look there anyway
  foreach(folder ${folders})
    string(APPEND pc_torch " -I${folder}")
  endforeach()
  instantnet_install_component(train)
endif()
