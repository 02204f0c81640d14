import CLinux
import ReusePortKit

/// An inherited socket to serve.
struct Listener {
    let socket: Int32
    let name: ByteString
    let kind: InheritedSocket.Kind
    let address: SocketAddress
}

/// Takes the passed sockets and makes them non-blocking. Descriptors of files stay open, and are ignored.
func inheritedListeners() throws(Failure) -> [Listener] {
    var inherited = try InheritedSockets()
    var listeners: [Listener] = []
    while let passed = inherited.takeFirst() {
        let name = passed.name
        let kind = passed.kind
        let address = passed.address
        let socket = passed.take().release()
        guard let address else { continue }
        _ = clinux_fcntl(socket, F_SETFL, Int(clinux_fcntl(socket, F_GETFL, 0) | O_NONBLOCK))
        listeners.append(Listener(socket: socket, name: name, kind: kind, address: address))
    }
    return listeners
}
