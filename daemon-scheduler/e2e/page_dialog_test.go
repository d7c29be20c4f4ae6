package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	dialogOpen   = `document.getElementById("dialog").open`
	dialogIdle   = `!document.getElementById("dialog").hasAttribute("aria-busy")`
	confirmReady = `!document.getElementById("dialog-confirm").disabled`
)

// openAction presses the button of an action and waits for its plan.
func (p *tab) openAction(action string) {
	p.t.Helper()
	p.await(fmt.Sprintf(`document.getElementById("action-%s")?.checkVisibility()`, action) + " === true")
	p.click("#action-" + action)
	p.await(dialogOpen + " && " + dialogIdle)
}

// choose presses a radio button of the dialog and waits for the plan.
func (p *tab) choose(value string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`#dialog input[value=%q]`, value))
	p.await(dialogIdle + " && " + confirmReady)
}

// confirm confirms the dialog and waits until it is closed.
func (p *tab) confirm() {
	p.t.Helper()
	p.await(confirmReady)
	p.click("#dialog-confirm")
	testenv.Eventually(p.t, func() bool { return !evaluate[bool](p, dialogOpen) },
		"the dialog stays open: %s", p.textOf("dialog"))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.Do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) typeText(selector, text string) {
	p.t.Helper()
	p.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// offeredActions returns the buttons that the page shows.
func (p *tab) offeredActions() []string {
	p.t.Helper()
	return evaluate[[]string](p, `[...document.querySelectorAll("#actions button")]
		.filter((b) => b.checkVisibility()).map((b) => b.id.replace("action-", ""))`)
}

// eventActions returns the actions of an environment's events.
func (d *scheduler) eventActions(name string) map[string]int {
	d.t.Helper()
	var list models.Events
	d.mustSend("GET", "/v1/events?limit=1000&environment="+name, "", &list)
	n := map[string]int{}
	for _, e := range list.Items {
		n[*e.Action]++
	}
	return n
}

// newPageRollout returns a rollout of n instances and the page that shows it.
func newPageRollout(t *testing.T, n int) (*rollout, *tab) {
	t.Helper()
	f := newRollout(t, n, `{"minimumHealthyPercent":50}`)
	p := openTab(t, f.url+"/#env=logs")
	p.awaitCounts(f.scheduler, map[string]int{"running": n})
	require.Empty(t, p.ConsoleErrors())
	return f, p
}
