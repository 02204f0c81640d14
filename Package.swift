// swift-tools-version: 6.0
import PackageDescription

// The release binary is built from the same sources as Embedded Swift: see the Makefile.
let package = Package(
    name: "reuseport-exec",
    products: [
        .executable(name: "reuseport-exec", targets: ["reuseport-exec"]),
        .library(name: "ReusePortKit", targets: ["ReusePortKit"]),
    ],
    targets: [
        .systemLibrary(name: "CLinux"),
        .target(name: "ReusePortKit", dependencies: ["CLinux"]),
        .executableTarget(name: "reuseport-exec", dependencies: ["ReusePortKit", "CLinux"]),
        .executableTarget(
            name: "sample-server", dependencies: ["ReusePortKit", "CLinux"], path: "Tests/Fixtures/sample-server"),
        .executableTarget(
            name: "load-generator", dependencies: ["ReusePortKit", "CLinux"], path: "Tests/Fixtures/load-generator"),
        .executableTarget(
            name: "receiver", dependencies: ["ReusePortKit", "CLinux"], path: "Tests/Fixtures/receiver"),
        .executableTarget(name: "example-server", dependencies: ["ReusePortKit"], path: "examples/swift"),
        .testTarget(name: "ReusePortKitTests", dependencies: ["ReusePortKit", "CLinux"]),
    ],
    swiftLanguageModes: [.v6]
)
