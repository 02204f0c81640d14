import CLinux

extension AppState {
    /// Directs no more connections to these copies of the live generation; the others get their share.
    mutating func withdraw(_ copies: [CopyRecord]) throws(Failure) {
        for copy in copies {
            var copy = copy
            copy.state = .stopping
            replace(copy)
        }
        switch app.steering {
        case .twoBanks(let id, let slots)?:
            try step("withdraw", "copies of the live generation") { () throws(Errno) in
                let maps = try AppMaps(selector: id, slots: slots)
                for copy in copies {
                    guard let bank = app.generation(copy.generation)?.bank else { continue }
                    for listener in copy.listeners {
                        try maps.clear(listener.identity.name, Slot(bank, copy: UInt8(copy.copy)))
                    }
                }
            }
        case .index?:
            if let generation = copies.first?.generation { try redirect(to: generation) }
        case .off?, nil:
            break
        }
    }
}
