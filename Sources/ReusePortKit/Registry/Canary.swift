/// A live generation that shares new connections with the one before it, which listens still and was told nothing.
///
/// It is recorded before the cutover, and counts only while its generation is live.
struct Canary: Sendable, Equatable {
    var generation: UInt64
    var before: UInt64
    /// What the live one gets, in percent: 1…99.
    var percent: Int

    init(generation: UInt64, before: UInt64, percent: Int) {
        self.generation = generation
        self.before = before
        self.percent = percent
    }

    /// The fields of its line in the app's file.
    var fields: [ByteString] { [generation, before, UInt64(percent)].map { ByteString(decimal: $0) } }

    init?(fields: [ByteString]) {
        let numbers = fields.compactMap { $0.decimal }
        guard numbers.count == 3, numbers[2] > 0, numbers[2] < 100 else { return nil }
        self.init(generation: numbers[0], before: numbers[1], percent: Int(numbers[2]))
    }
}

extension AppState {
    /// The generation before the live one, if that is a canary beside it.
    var beforeCanary: GenerationRecord? {
        guard let canary = app.canary, canary.generation == app.live?.id else { return nil }
        return app.generation(canary.before)
    }

    /// Whoever keeps connections from a generation that is a canary, or is about to become one.
    func keeper(beside generation: GenerationRecord) -> GenerationListeners.Keeper? {
        guard let canary = app.canary, canary.generation == generation.id, let old = app.generation(canary.before),
            old.state == .live || old.state == .retiring, !running(old.id).isEmpty
        else { return nil }
        return GenerationListeners.Keeper(listeners(of: old), percent: 100 - canary.percent)
    }

    /// Gives the live generation, which is a canary, so many percent of new connections; with 100 it is none any more.
    func share(_ percent: Int) throws(Failure) {
        app.canary?.percent = percent
        if percent == 100 { app.canary = nil }
        try shareAnew()
    }
}
