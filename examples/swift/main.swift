// Swift, with ReusePortKit's InheritedSockets. As root, in this package, for each new version:
//
//     swift build -c release --product example-server
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- .build/release/example-server
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- .build/release/example-server
//
// In a package of your own: .product(name: "ReusePortKit", package: "reuseport-exec"). With SwiftNIO pass the
// number on: ServerBootstrap.withBoundSocket(listener).
import Dispatch
import Foundation
import ReusePortKit

func answer(_ client: Int32) {
    var request = [UInt8]()
    var buffer = [UInt8](repeating: 0, count: 8192)
    while !request.suffix(4).elementsEqual("\r\n\r\n".utf8) {
        let count = read(client, &buffer, buffer.count)
        if count <= 0 { break }
        request += buffer[..<count]
    }
    if request.starts(with: "GET /slow ".utf8) { sleep(1) }
    let body = "pid: \(getpid())\n"
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
    let bytes = Array((head + body).utf8)
    _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    close(client)
}

var inherited = try InheritedSockets()
guard let http = inherited.take(named: "http") else { fatalError("there is no socket named http") }
let listener = http.take().release()
_ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK)

let inFlight = DispatchGroup()
let connections = DispatchSource.makeReadSource(fileDescriptor: listener, queue: .main)
connections.setEventHandler {
    let client = accept(listener, nil, nil)
    if client >= 0 { DispatchQueue.global().async(group: inFlight) { answer(client) } }
}
connections.setCancelHandler {
    close(listener)
    inFlight.notify(queue: .main) { exit(0) }
}
connections.resume()

// The stop signal: take no more connections, and exit when requests in flight are finished.
signal(SIGTERM, SIG_IGN)
let stop = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .main)
stop.setEventHandler { connections.cancel() }
stop.resume()
dispatchMain()
