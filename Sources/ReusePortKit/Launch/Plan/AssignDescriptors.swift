/// The numbers of the descriptors that the target inherits.
struct DescriptorNumbers {
    var sockets: [Int32] = []
    var files: [Int32] = []
    var channel: (near: Int32, far: Int32)?
}

/// Assigns numbers: those given with `fd=`, and for all others the lowest free ones from 3 on, sockets first.
func assignDescriptors(_ options: LaunchOptions) throws(Failure) -> DescriptorNumbers {
    // An array, because it is nearly always empty and a set would need libm.
    var taken = options.keptDescriptors
    for socket in options.sockets {
        guard let number = socket.descriptor else { continue }
        if options.keptDescriptors.contains(number) {
            throw .usage("place", "socket \(socket.name) at descriptor \(number)", "--keep-fd \(number) has it")
        }
        if taken.contains(number) {
            throw .usage("place", "socket \(socket.name) at descriptor \(number)", "another socket has fd=\(number)")
        }
        taken.append(number)
    }

    var numbers = DescriptorNumbers()
    // Node, which runs npm and other wrappers, closes descriptors from 0 up to the first gap in the programs it starts
    // (uv_disable_stdio_inheritance), so these leave a gap.
    let isOnlyAdopt = options.dialects == [.adopt]
    var next: Int32 = isOnlyAdopt ? 100 : 3
    func lowestFree() -> Int32 {
        while taken.contains(next) { next += 1 }
        next += 1
        return next - 1
    }
    let dialects = options.dialects ?? []
    // With inetd as the only dialect the socket is at 0 alone.
    let isOnlyInetd = dialects == [.inetd]
    for socket in options.sockets {
        numbers.sockets.append(socket.descriptor ?? (isOnlyInetd ? 0 : lowestFree()))
    }
    for _ in options.files { numbers.files.append(lowestFree()) }
    if options.needsChannel || dialects.nodesockd != nil || dialects.contains(.cluster) {
        numbers.channel = (lowestFree(), lowestFree())
    }
    return numbers
}
