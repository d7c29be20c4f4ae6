package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// explorer is the page in a real browser.
type explorer struct {
	*testenv.Chromium
	t   *testing.T
	url string
}

// openPage opens the page of a service at a fragment of its address, such as #/tasks.
func openPage(t *testing.T, url, fragment string) *explorer {
	t.Helper()
	p := &explorer{testenv.Browser(t), t, url}
	p.SetViewport(1280, 900)
	p.Do(chromedp.Navigate(url + "/" + fragment))
	return p
}

// visit shows another address, as a link does.
func (p *explorer) visit(fragment string) {
	p.t.Helper()
	p.Run(fmt.Sprintf(`location.hash = %q`, fragment))
}

// awaitText waits until the visible text of an element contains the text.
func (p *explorer) awaitText(id, text string) {
	p.t.Helper()
	p.Await(fmt.Sprintf(`document.getElementById(%q)?.innerText.includes(%q) === true`, id, text))
}

// awaitCount waits until the page shows the number of entities of the list.
func (p *explorer) awaitCount(count string) {
	p.t.Helper()
	p.Await(fmt.Sprintf(`document.getElementById("count").innerText === %q`, count))
}

func (p *explorer) value(expression string) string {
	p.t.Helper()
	return testenv.Evaluate[string](p.Chromium, expression)
}

// rows is an expression of the texts of the rows in the document, in the order on the screen.
const rows = `[...document.querySelectorAll(".list-row")].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
	.map((row) => row.innerText)`

// newExplorable starts a service with two clusters: prod with instances and tasks, one of them stopped with exit code
// 137, and staging with one instance.
func newExplorable(t *testing.T) (c *css, instances, tasks []string) {
	t.Helper()
	w := newSystem(t, ecssim.Config{})
	instances = w.sim.AddInstances("prod", 4)
	w.sim.AddInstances("staging", 1)
	w.sim.RegisterTaskDefinition("agent")
	w.sim.RegisterTaskDefinition("web")
	tasks = append(w.startInProd("agent", instances...), w.startInProd("web", instances[0])...)
	require.NoError(t, w.sim.KillTask(tasks[3], 137))
	c = w.start()
	c.ready()
	return c, instances, tasks
}

// startInProd starts a task on each instance of the cluster prod, ten with each call.
func (w *system) startInProd(definition string, instances ...string) (started []string) {
	w.t.Helper()
	for i := 0; i < len(instances); i += 10 {
		out, err := w.ecs().StartTask(w.t.Context(), &ecs.StartTaskInput{
			Cluster: aws.String("prod"), TaskDefinition: &definition, StartedBy: aws.String("test"),
			ContainerInstances: instances[i:min(i+10, len(instances))],
		})
		require.NoError(w.t, err)
		require.Empty(w.t, out.Failures)
		for _, task := range out.Tasks {
			started = append(started, *task.TaskArn)
		}
	}
	return started
}

func TestPage_ShowsClustersInstancesAndTasks(t *testing.T) {
	t.Parallel()
	c, instances, tasks := newExplorable(t)
	p := openPage(t, c.url, "")
	p.Await(`document.getElementById("live-status").innerText === "Live"`)
	p.awaitCount("2")
	p.awaitText("list", "4 active")
	p.awaitText("freshness", "reconciled with ECS")
	p.Run(`document.querySelector(".list-row .main a").click()`) // the instances of prod
	p.awaitCount("4")
	assert.Contains(t, p.value(`location.hash`), "#/instances?cluster=arn:aws:ecs:us-east-1:123456789012:cluster/prod")

	p.Run(`document.querySelector("#tabs a[data-view=tasks]").click()`)
	p.awaitCount("4")
	p.awaitText("list", "agent:1")
	p.awaitText("list", "web:1")

	// A change shows without a reload.
	more := c.startInProd("web", instances[1])
	p.awaitCount("5")
	require.NoError(t, c.sim.KillTask(more[0], 3))
	p.awaitCount("4")
	p.visit("#/stopped")
	p.awaitCount("2")
	p.Await(fmt.Sprintf(`%s[0].includes(%q)`, rows, idOf(more[0]))) // the newest first
	p.awaitText("list", "137")
	p.awaitText("list", "EssentialContainerExited")

	p.Run(fmt.Sprintf(`[...document.querySelectorAll(".list-row")].find((r) => r.innerText.includes(%q)).click()`,
		idOf(tasks[3])))
	p.awaitText("stop-reason", "EssentialContainerExited")
	p.awaitText("detail", "137")
	console := "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/" + idOf(tasks[3]) +
		"/configuration?region=us-east-1"
	assert.Equal(t, console, p.value(`document.querySelector(".entity-links a").href`))
	assert.Equal(t, "noopener noreferrer", p.value(`document.querySelector(".entity-links a").rel`))
	assert.Empty(t, p.ConsoleErrors())
}

// idOf returns the part of an ARN after the last slash.
func idOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// A service with an access file serves the page to everyone, and what it shows to clients with a token.
func TestPage_RequestsATokenAndLinksToTheScheduler(t *testing.T) {
	t.Parallel()
	w := newSystem(t, ecssim.Config{})
	w.sim.AddInstances("prod", 2)
	path := filepath.Join(t.TempDir(), "access.yml")
	require.NoError(t, os.WriteFile(path, []byte(accessFile("vera=viewer")), 0o600))
	c := w.run(testenv.FreeAddress(t), "blox_queue", "--access-file", path, "--scheduler-url", "https://ds.example.com/")
	c.ready()
	p := openPage(t, c.url, "#/instances")
	assert.Equal(t, "https://ds.example.com/", p.awaitValue(`!document.getElementById("scheduler").hidden && document.getElementById("scheduler").href`))
	enter := func(token string) {
		p.Run(`document.querySelector("#credentials input").focus()`)
		p.Do(chromedp.KeyEvent(token), chromedp.KeyEvent(kb.Enter))
	}
	p.awaitText("credentials", "The service requires a bearer token.")
	enter("eve-token")
	p.awaitText("credentials", "The service rejects the token.")
	enter("vera-token")
	p.awaitCount("2")
	p.Await(`document.getElementById("credentials") === null && document.getElementById("live-status").innerText === "Live"`)
	p.Do(chromedp.Reload()) // the tab keeps the token
	p.awaitCount("2")
}
