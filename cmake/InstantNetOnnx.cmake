# protobuf's classes of the ONNX format, linked by name: the CMake files that come with ONNX name parts that Debian's package
# leaves out.

find_package(Protobuf REQUIRED)
find_path(INSTANTNET_ONNX_INCLUDE onnx/onnx_pb.h REQUIRED)
find_library(INSTANTNET_ONNX_PROTO_LIBRARY onnx_proto REQUIRED)

add_library(instantnet_onnx INTERFACE)
target_include_directories(instantnet_onnx SYSTEM INTERFACE "${INSTANTNET_ONNX_INCLUDE}")
target_compile_definitions(instantnet_onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(instantnet_onnx INTERFACE "${INSTANTNET_ONNX_PROTO_LIBRARY}" protobuf::libprotobuf)

# For tests only: ONNX's own shape inference, to compare ours with.
find_library(INSTANTNET_ONNX_LIBRARY onnx REQUIRED)
add_library(instantnet_onnx_reference INTERFACE)
target_link_libraries(instantnet_onnx_reference INTERFACE instantnet_onnx "${INSTANTNET_ONNX_LIBRARY}")
