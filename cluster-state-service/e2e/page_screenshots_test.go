package e2e

import (
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

var screenshots = flag.String("screenshots", "", "`directory` into which TestPage_Screenshots writes; it skips without")

// TestPage_Screenshots makes the pictures for people to look at: go test ./cluster-state-service/e2e -run Screenshots
// -screenshots DIR.
func TestPage_Screenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots is not set")
	}
	for _, n := range []int{3, 200, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newSystem(t, ecssim.Config{})
			instances := w.sim.AddInstances("prod", n)
			w.sim.AddInstances("staging-with-a-long-name-of-a-team-in-europe", 2)
			w.sim.RegisterTaskDefinition("log-agent")
			w.sim.RegisterTaskDefinition("web")
			agents := w.startInProd("log-agent", instances...)
			w.startInProd("web", instances[:min(n, 500)]...)
			w.sim.StartFargateTask("staging-with-a-long-name-of-a-team-in-europe", "web")
			for i := range min(n/2, 60) {
				require.NoError(t, w.sim.KillTask(agents[i], []int{0, 1, 137}[i%3]))
			}
			require.NoError(t, w.sim.DrainInstance(instances[n-1]))
			require.NoError(t, w.sim.SetAgentConnected(instances[n-2], false))
			c := w.start()
			c.ready()
			p := openPage(t, c.url, "")
			take := func(name string) {
				p.Screenshot(filepath.Join(*screenshots, fmt.Sprintf("%d-%s.png", n, name)))
			}
			for view, fragment := range map[string]string{
				"clusters": "#/clusters", "instances": "#/instances", "tasks": "#/tasks", "stopped": "#/stopped",
				"task": "#/stopped?open=" + agents[0], "instance": "#/instances?open=" + instances[0],
				"filtered": "#/tasks?search=web&family=web&cluster=prod", "empty": "#/tasks?search=nothing-like-this",
			} {
				p.visit(fragment)
				p.Await(`document.getElementById("loading").hidden && document.getElementById("live-status").innerText === "Live"`)
				for size, viewport := range map[string][2]int64{
					"1280": {1280, 900}, "1920": {1920, 1080}, "phone": {390, 844},
				} {
					p.SetViewport(viewport[0], viewport[1])
					p.Await(`document.getElementById("detail").hidden || document.querySelector("#detail-body dl") !== null`)
					p.Run(`window.drawn = false; setTimeout(() => { window.drawn = true; }, 250)`) // after all panels
					p.Await(`window.drawn`)
					take(view + "-" + size)
				}
			}
			p.SetViewport(1280, 900)
			p.SetMediaFeature("prefers-color-scheme", "dark")
			p.visit("#/stopped?open=" + agents[1%len(agents)])
			p.awaitText("detail", "log-agent")
			take("dark")
			p.Do(chromedp.Navigate("about:blank"))
		})
	}
}
