package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// countStates returns the number of instances in each of the page's states, according to the API's list.
func (d *scheduler) countStates(name string) map[string]int {
	d.t.Helper()
	var list models.EnvironmentInstances
	d.mustSend("GET", "/v1/environments/"+name+"/instances", "", &list)
	n := map[string]int{}
	for _, i := range list.Items {
		switch {
		case *i.State == "failed":
			n["failing"]++
		case *i.Status == "DRAINING":
			n["draining"]++
		case *i.State == "excluded":
			n["excluded"]++
		case !*i.AgentConnected:
			n["disconnected"]++
		case *i.State == "pending":
			n["starting"]++
		default:
			n[*i.State]++
		}
	}
	return n
}

// legendCounts returns the counts that the grid's legend shows.
func (p *tab) legendCounts() map[string]int {
	p.t.Helper()
	n := map[string]int{}
	for state, count := range evaluate[map[string]int](p, `Object.fromEntries([...document.querySelectorAll("#legend button")]
		.map((b) => [b.dataset.state, Number(b.querySelector("b").textContent.replace(/\D/g, ""))]))`) {
		if count > 0 {
			n[state] = count
		}
	}
	return n
}

// awaitCounts waits until the API's list and the legend both have the wanted counts.
func (p *tab) awaitCounts(d *scheduler, want map[string]int) {
	p.t.Helper()
	testenv.Eventually(p.t, func() bool {
		listed := d.countStates("logs")
		return assert.ObjectsAreEqual(want, listed) && assert.ObjectsAreEqual(listed, p.legendCounts())
	}, "not %v on the page and in the API", want)
}

func containsText(id, text string) string {
	return fmt.Sprintf(`document.getElementById(%q).innerText.includes(%q)`, id, text)
}

// startDeployed starts both services with the environment logs and a completed deployment on n instances.
func startDeployed(t *testing.T, n int) (d *scheduler, instances []string, id string) {
	t.Helper()
	w := newSystem(t)
	instances = w.sim.AddInstances("prod", n)
	d = w.startServices()
	d.awaitReady()
	id = d.deploy(d.createEnvironment("logs"))
	d.awaitCompleted("logs", id)
	return d, instances, id
}

// After a rollback, the page names the task definition that runs first.
func TestPage_ShowsTheEffectiveRevision(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(32), ecssim.WithMemory(64))
	d.awaitCompleted("logs", d.deploy(d.patch("logs", `{"taskDefinition":"agent"}`)))
	p := openTab(t, d.url+"/#env=logs")
	p.await(containsText("properties", "agent:2"))
	assert.NotContains(t, p.textOf("properties"), "(")

	d.mustSend("POST", "/v1/environments/logs/rollback", "", nil)
	p.await(containsText("properties", "agent:1 (rolled back from agent:2)"))
	p.await(containsText("properties", "1 (newest: 2)"))
	p.await(containsText("badges", "rolled back"))
	p.await(containsText("environments", "rolled back"))
}

func TestPage_ShowsChanges(t *testing.T) {
	t.Parallel()
	d, instances, id := startDeployed(t, 6)
	d.createEnvironment("metrics")
	p := openTab(t, d.url+"/#env=logs")

	p.await(`document.getElementById("live-status").dataset.live === "live"`)
	p.await(containsText("environments", "logs") + " && " + containsText("environments", "metrics"))
	assert.Equal(t, "logs", p.textOf("environment-name"))
	p.await(containsText("replica", "this replica is the leader"))
	p.await(containsText("rollout-text", "The rollout of agent:1 is completed"))
	p.awaitCounts(d, map[string]int{"running": 6})
	p.await(containsText("events", "Started agent:1 on 6 instances"))
	p.await(containsText("deployments", "completed"))

	// An instance joins, another drains, an agent disconnects, and a task is killed.
	d.sim.AddInstances("prod", 1)
	require.NoError(t, d.sim.DrainInstance(instances[0]))
	require.NoError(t, d.sim.SetAgentConnected(instances[1], false))
	p.awaitCounts(d, map[string]int{"running": 5, "draining": 1, "disconnected": 1})
	p.await(containsText("reason-rows", "Disconnected") + " && " +
		containsText("reason-rows", "The instance is DRAINING."))
	require.NoError(t, d.sim.KillTask(d.liveTasks(id)[instances[2]][0].ARN, 1))
	p.await(containsText("events", "1 task of agent:1 failed") + " && " +
		containsText("events", "Replaced 1 task by agent:1"))
	p.awaitCounts(d, map[string]int{"running": 5, "draining": 1, "disconnected": 1})

	// The page shows why a rollout failed.
	d.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	d.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: "RESOURCE:MEMORY"})
	e := d.getEnvironment("logs")
	d.mustSend("PATCH", "/v1/environments/logs?deploymentToken="+e.DeploymentToken,
		`{"taskDefinition":"agent:2","deploymentConfiguration":{"deploymentCircuitBreaker":{"enable":true,"threshold":1}}}`,
		nil)
	p.await(containsText("properties", "agent:2"))
	id2 := d.deploy(d.getEnvironment("logs"))
	p.await(containsText("events", "Failed to start agent:2") + " && " + containsText("events", "RESOURCE:MEMORY"))
	p.await(containsText("rollout-text", "The rollout of agent:2 failed"))
	p.await(`document.querySelector("#notes .bad")?.textContent === ` +
		fmt.Sprintf("%q", d.getDeployment("logs", id2).RolloutStateReason))
	p.await(containsText("events", "Rollout of agent:2 failed"))
	p.await(containsText("badges", "rollout failed"))
	testenv.Eventually(t, func() bool { return assert.ObjectsAreEqual(d.countStates("logs"), p.legendCounts()) },
		"the page and the API differ")

	// The page selects another environment when the selected one is deleted.
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	p.await(`document.getElementById("environment-name").textContent === "metrics" && !` + containsText("environments", "logs"))

	assert.Empty(t, p.ConsoleErrors(), "the security policy blocks nothing, and no script fails")
	for _, requested := range p.Requests() {
		assert.True(t, strings.HasPrefix(requested, d.url+"/"), "%s is not on this server", requested)
	}
	d.assertNoDuplicates()
}

// The page escapes text from ECS and etcd wherever it shows it.
func TestPage_EscapesText(t *testing.T) {
	t.Parallel()
	const attack = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	w.sim.SetFaults(ecssim.Faults{StartFailures: 1, StartFailureReason: attack})
	w.putRecord("ecs/environment/<b>bold<"+"script>",
		`{"Token":"0b0a9e39-5d7b-4fd7-9b3e-0d2d2b4e5a11","DesiredTaskDefinition":"`+w.agent+
			`","Cluster":"`+prod+`","Deployments":{}}`)
	d := w.startServices()
	d.awaitReady()
	d.deploy(d.createEnvironment("logs"))
	p := openTab(t, d.url+"/#env=logs")
	p.await(containsText("environments", "<b>bold<script>"))
	p.await(containsText("reason-rows", attack))
	p.await(containsText("events", attack))
	p.Do(chromedp.Evaluate[chromedp.Void](`blox.grid.selectInstance(blox.grid.items[0].containerInstance)`))
	p.await(containsText("detail", attack))
	assert.True(t, evaluate[bool](p,
		`window.hacked === undefined && !document.querySelector("main img, main script, .side b, .side script")`))
	assert.Empty(t, p.ConsoleErrors())
}

func TestPage_ReportsLostConnectionAndReconnects(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 3)
	proxy := testenv.NewProxy(t, strings.TrimPrefix(d.url, "http://"))
	p := openTab(t, "http://"+proxy.Address())
	p.awaitCounts(d, map[string]int{"running": 3})
	assert.True(t, evaluate[bool](p, `document.getElementById("banner").hidden`))

	proxy.SetDisconnected(true)
	p.await(`!document.getElementById("banner").hidden && ` + containsText("banner", "Not live") +
		` && document.body.classList.contains("stale")`)
	assert.Equal(t, "Not live", p.textOf("live-status"))
	d.sim.AddInstances("prod", 2)
	proxy.SetDisconnected(false)
	p.await(`document.getElementById("banner").hidden && document.getElementById("live-status").textContent === "Live"`)
	p.awaitCounts(d, map[string]int{"running": 5})

	proxy.SetDisconnected(true) // the user does not wait for the automatic retry
	p.await(`!document.getElementById("retry").hidden`)
	proxy.SetDisconnected(false)
	p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("retry").click()`))
	p.await(`document.getElementById("live-status").textContent === "Live"`)
}

func TestPage_WorksBelowPathPrefix(t *testing.T) {
	t.Parallel()
	d, _, _ := startDeployed(t, 2)
	to, err := url.Parse(d.url)
	require.NoError(t, err)
	front := httptest.NewServer(http.StripPrefix("/stage", &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1, Transport: &http.Transport{DisableKeepAlives: true},
	}))
	t.Cleanup(front.Close)
	p := openTab(t, front.URL+"/stage/")
	p.awaitCounts(d, map[string]int{"running": 2})
	assert.Empty(t, p.ConsoleErrors())
	d.stop() // ends the streams; otherwise the server would wait for them
}

func TestPage_IsServedWithSecurityHeaders(t *testing.T) {
	t.Parallel()
	d := newSystem(t).startServices()
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/page/page.css": "text/css; charset=utf-8",
		"/page/main.js": "text/javascript; charset=utf-8", "/page/icon.svg": "image/svg+xml",
	} {
		answer, body := d.send("GET", path, "")
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		assert.NotEmpty(t, body)
		assert.Equal(t, kind, answer.Header.Get("Content-Type"))
		assert.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "+
			"data:; base-uri 'none'; "+
			"form-action 'none'; frame-ancestors 'none'", answer.Header.Get("Content-Security-Policy"))
		assert.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-referrer", answer.Header.Get("Referrer-Policy"))
		request, err := http.NewRequestWithContext(t.Context(), "GET", d.url+path, nil)
		require.NoError(t, err)
		request.Header.Set("If-None-Match", answer.Header.Get("ETag"))
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		again, err := client.Do(request)
		require.NoError(t, err)
		again.Body.Close()
		assert.Equal(t, http.StatusNotModified, again.StatusCode, path)
	}
	for _, path := range []string{"/page/page.go", "/page/absent.js", "/page/", "/page/x/y"} {
		answer, _ := d.send("GET", path, "")
		assert.NotEqual(t, http.StatusOK, answer.StatusCode, path)
	}
	answer, _ := d.send("POST", "/", "")
	assert.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
}

// The API has no path for a name with a slash, and a link may have an invalid fragment.
func TestPage_ReportsMissingEnvironment(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	d := w.startServices()
	d.awaitReady()
	d.deploy(d.createEnvironment("logs"))
	p := openTab(t, d.url+"/#env=%zz")
	p.await(`document.getElementById("live-status").textContent === "Live"`)
	w.putRecord("ecs/environment/a/b", `{"Token":"0b0a9e39-5d7b-4fd7-9b3e-0d2d2b4e5a11","DesiredTaskDefinition":"`+w.agent+
		`","Cluster":"`+prod+`","Deployments":{}}`)
	p.await(containsText("environments", "a/b"))
	const press = `[...document.querySelectorAll("#environments button")].find((b) => b.innerText.includes(%q)).click()`
	p.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(press, "a/b")))
	p.await(containsText("banner", "Environment a/b does not exist"))
	assert.Equal(t, "Not live", p.textOf("live-status"))
	p.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(press, "logs")))
	p.await(`document.getElementById("live-status").textContent === "Live"`)
	p.awaitCounts(d, map[string]int{"running": 2})

	// The page follows an environment that is deleted and created again.
	d.mustSend("DELETE", "/v1/environments/logs", "", nil)
	d.deploy(d.createEnvironment("logs"))
	d.sim.AddInstances("prod", 1)
	p.await(`document.getElementById("environment-name").textContent === "logs" && document.getElementById("live-status").textContent ` +
		`=== "Live"`)
	p.awaitCounts(d, map[string]int{"running": 3})

	// Without etcd, the page shows that its data is not current.
	d.etcd.Stop()
	p.await(`document.getElementById("live-status").textContent === "Not ready" && ` +
		containsText("banner", "etcd does not respond"))
}
