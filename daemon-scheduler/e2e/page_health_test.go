package e2e

import (
	"testing"

	"github.com/blox/blox/internal/testenv"
)

// The page shows an UNHEALTHY task as failing, with its health and the container.
func TestPage_ShowsUnhealthyTasks(t *testing.T) {
	t.Parallel()
	d := newHealthyDaemon(t, 2, `,"unhealthyPolicy":"keep"`)
	p := openTab(t, d.url+"/#env=logs")
	p.awaitCounts(d.scheduler, map[string]int{"running": 2})
	d.setHealth("UNHEALTHY", d.tasks(d.first)[0])
	p.awaitCounts(d.scheduler, map[string]int{"running": 1, "failing": 1})
	p.await(containsText("reason-rows", agentUnhealthy))
	p.await(containsText("conditions", "TasksUnhealthy"))
	testenv.Eventually(t, func() bool {
		segments := evaluate[string](p,
			`[...document.querySelectorAll("#progress .bar i")].map((i) => i.className + i.dataset.count).join()`)
		return segments == "running1,starting0,outdated0,failing1,missing0"
	})
}
