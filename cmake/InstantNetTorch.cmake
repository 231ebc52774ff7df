# libtorch: Debian's 1.13.1 or any 2.x (with or without CUDA).

set(CMAKE_WARN_DEPRECATED OFF CACHE BOOL "" FORCE)
find_package(Torch REQUIRED QUIET)
message(STATUS "libtorch ${Torch_VERSION}")

add_library(instantnet_torch INTERFACE)
separate_arguments(torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(instantnet_torch INTERFACE ${torch_flags})
target_include_directories(instantnet_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(instantnet_torch INTERFACE ${TORCH_LIBRARIES} Threads::Threads)

# One precompiled header, shared by every torch room: torch/torch.h alone costs 40 s a file.
file(WRITE "${CMAKE_BINARY_DIR}/torch_pch.cpp" "")
add_library(instantnet_torch_pch STATIC "${CMAKE_BINARY_DIR}/torch_pch.cpp")
target_link_libraries(instantnet_torch_pch PRIVATE instantnet_torch)
# The same -Wpedantic as its users: it changes predefined macros, and g++ then refuses the header.
target_compile_options(instantnet_torch_pch PRIVATE ${INSTANTNET_WARNINGS})
target_precompile_headers(instantnet_torch_pch PRIVATE <torch/torch.h>)

function(instantnet_use_torch target)
  target_link_libraries(${target} PUBLIC instantnet_torch)
  target_precompile_headers(${target} REUSE_FROM instantnet_torch_pch)
endfunction()

# instantnet_without_torch(ROOM FILE...): these files of a torch room do without the precompiled torch, and compile faster.
function(instantnet_without_torch room)
  list(TRANSFORM ARGN PREPEND "${PROJECT_SOURCE_DIR}/src/instantnet/${room}/" OUTPUT_VARIABLE files)
  list(TRANSFORM files APPEND ".cpp")
  set_source_files_properties(${files} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# The fused CPU kernels stand on oneDNN and OpenMP; without oneDNN's headers fused_none.cpp says so.
find_path(INSTANTNET_DNNL_INCLUDE dnnl.hpp)
find_library(INSTANTNET_DNNL_LIBRARY dnnl)
function(instantnet_use_fused_kernels target)
  get_target_property(sources ${target} SOURCES)
  if(INSTANTNET_DNNL_INCLUDE AND INSTANTNET_DNNL_LIBRARY)
    list(FILTER sources EXCLUDE REGEX "/fused_none\\.cpp$")
    target_include_directories(${target} SYSTEM PRIVATE "${INSTANTNET_DNNL_INCLUDE}")
    target_link_libraries(${target} PUBLIC "${INSTANTNET_DNNL_LIBRARY}")
  else()
    list(FILTER sources EXCLUDE REGEX "/fused(_backward|_convolution|_depthwise|_forward|_memory)?\\.cpp$")
    message(STATUS "oneDNN's headers not found: no fused kernels")
  endif()
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
  instantnet_without_torch(nn lanes gates fused_kernels fused_depthwise fused_convolution)
  # Only here, because the option would spoil the precompiled header for the rest.
  set_source_files_properties("${PROJECT_SOURCE_DIR}/src/instantnet/nn/lanes.cpp" PROPERTIES COMPILE_OPTIONS -fopenmp)
  target_link_libraries(${target} PUBLIC gomp)
endfunction()
