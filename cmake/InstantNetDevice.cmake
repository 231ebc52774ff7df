# What INSTANTNET_DEVICE builds, for another processor than this machine's: the runtime's library and its tests. They need no library
# of that processor but the compiler's own. Headers are those of this machine; files that read YAML are left out.

find_package(Threads REQUIRED)
find_path(INSTANTNET_FMT_INCLUDE fmt/format.h REQUIRED)
add_library(fmt::fmt-header-only INTERFACE IMPORTED)
target_compile_definitions(fmt::fmt-header-only INTERFACE FMT_HEADER_ONLY=1)

instantnet_room(core USES fmt::fmt-header-only Threads::Threads)
instantnet_room(net ROOMS core USES fmt::fmt-header-only)
foreach(room core net)
  get_target_property(sources instantnet_${room} SOURCES)
  list(FILTER sources EXCLUDE REGEX "/(tree_text|spec_file)\\.cpp$")
  set_target_properties(instantnet_${room} PROPERTIES SOURCES "${sources}")
endforeach()

if(INSTANTNET_TESTS)
  # Debian's libgtest-dev has the sources.
  find_path(INSTANTNET_GTEST_SOURCE googletest/CMakeLists.txt PATHS /usr/src/googletest NO_DEFAULT_PATH
    NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  set(INSTALL_GTEST OFF CACHE BOOL "" FORCE)
  add_subdirectory("${INSTANTNET_GTEST_SOURCE}" "${CMAKE_BINARY_DIR}/googletest" EXCLUDE_FROM_ALL)
endif()
