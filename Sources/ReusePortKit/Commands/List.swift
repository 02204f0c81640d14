import CLinux

/// `list`: prints a line for each app or, of one app or with `--all`, for each generation; or JSON.
func list(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    if request.isJSON { return try write(listAsJSON(try knownApps(request, directory))) }
    try show(again: request.watches) { screen throws(Failure) in
        let apps = try knownApps(request, directory)
        return request.app != nil || request.showsAll
            ? listGenerations(apps, on: screen) : list(apps, isWide: request.isWide, on: screen)
    }
    // With --run-dir the user asks for the apps of that directory alone.
    if request.app == nil, request.runDirectory == nil { try explainMissing(directory) }
}

/// Says which apps the list does not show.
private func explainMissing(_ directory: ByteString) throws(Failure) {
    let known = try appNames(in: directory)
    if let state = try? stateDirectory(nil) {
        let kept = (try? appNames(in: state)) ?? []
        let waiting = kept.filter { app in
            let isLive = known.contains(app) && runs(app, directory)
            return !isLive && keptDeployment(app, in: state) != nil
        }
        if !waiting.isEmpty {
            try write("Enabled, and not live: \(joined(waiting, by: ", ")). reuseport-exec boot starts them.\n")
        }
    }
    if geteuid() != 0 {
        try write("Apps of root and of other users are not shown; for root's: sudo reuseport-exec list\n")
    }
}

/// Prints a text, once, or every second in the place of the one before until the command is interrupted.
func show(again: Bool, _ text: (Screen) throws(Failure) -> ByteString) throws(Failure) {
    let screen = Screen(of: 1)
    if !again { return try write(try text(screen)) }
    guard screen.isRewritable else {
        throw .usage("redraw", "the output", "it is no terminal", remedy: "leave --watch out")
    }
    while true {
        // Home, the text, and nothing below it: the screen does not flicker.
        try write("\u{1B}[H\(try text(screen))\u{1B}[J")
        _ = poll(nil, 0, 1000)
    }
}
