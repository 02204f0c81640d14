import CLinux

/// The file whose holder writes services of which the registry does not know yet.
let deployLock: ByteString = "deploy.lock"

/// Removes the services of generations that are over, wherever deploy has written some.
///
/// `holdsTurn`: whether the caller has `deploy.lock`. While somebody else has it, nothing is removed: what has just been
/// written looks like what is over. Who has it comes by here when it is done.
func removeRetiredServices(
    of app: ByteString, in runDirectory: ByteString, holdsTurn: Bool = false
) throws(Failure) {
    guard let registry = try Registry.open(app, in: runDirectory, create: false) else { return }
    var targets: [SupervisionTarget] = []
    for generation in (registry.loadApp()?.generations ?? []) {
        guard let deployment = registry.loadDeployment(of: generation.order),
            let on = deployment.settings.first(where: { $0.name == "--on" }),
            let target = try? parseSupervisionTarget(on.value), !targets.contains(target)
        else { continue }
        targets.append(target)
    }
    if targets.isEmpty { return }
    let turn: Descriptor?
    do throws(Failure) {
        turn = holdsTurn ? nil : try registry.lock(deployLock, until: Deadline(moment: 0))
    } catch {
        if error.code == .negative { return }
        throw error
    }
    let state = AppState.mended(registry)
    for target in targets {
        try removeServices(app: app, on: target) { label, copy in
            !state.app.generations.contains { generation in
                guard generation.label == label else { return false }
                // What finishes is removed when it has.
                return generation.state == .starting || generation.state == .live && copy < generation.copies
                    || state.running(generation.order).contains { $0.copy == copy }
            }
        }
    }
    if let turn { turn.release(closing: ()) }
}
