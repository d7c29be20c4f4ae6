package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// Debian's etcd sends progress notifications before events that they cover. All tasks die while CSS is down, and the
// scheduler's copy, which resumes its streams, still learns about each of them.
func TestScheduling_ReplacesTasksThatDiedWhileCSSWasDownOnDebiansEtcd(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.etcd = testenv.DebianEtcd(t)
	w.client = w.etcd.Client()
	instances := w.sim.AddInstances("prod", 40)
	css, stop := w.startCSS("127.0.0.1:0")
	d := w.startScheduler(css)
	id, tasks := d.deployAgent(instances...)
	for range 3 {
		stop()
		for _, task := range tasks {
			require.NoError(t, w.sim.KillTask(task, 1))
		}
		_, stop = w.startCSS(css)
		testenv.Eventually(t, func() bool {
			for instance, dead := range tasks {
				live := w.liveTasks(id)[instance]
				if len(live) != 1 || live[0].ARN == dead || live[0].LastStatus != "RUNNING" {
					return false
				}
			}
			return true
		}, "tasks are not replaced")
		for instance, live := range w.liveTasks(id) {
			tasks[instance] = live[0].ARN
		}
	}
	w.assertNoDuplicates()
}
