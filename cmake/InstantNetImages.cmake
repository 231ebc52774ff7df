# What decodes image files. OpenCV's own CMake config comes only with the full libopencv-dev; imgcodecs is linked by name.

find_path(INSTANTNET_OPENCV_INCLUDE opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
foreach(part core imgproc imgcodecs)
  if(NOT TARGET opencv_${part})
    find_library(INSTANTNET_OPENCV_${part} NAMES opencv_${part} REQUIRED)
    add_library(opencv_${part} SHARED IMPORTED)
    set_target_properties(opencv_${part} PROPERTIES
      IMPORTED_LOCATION "${INSTANTNET_OPENCV_${part}}"
      INTERFACE_INCLUDE_DIRECTORIES "${INSTANTNET_OPENCV_INCLUDE}")
  endif()
endforeach()
