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
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// search types into the field and presses Enter.
func (p *explorer) search(text string) {
	p.t.Helper()
	p.Run(`document.getElementById("search").focus(); document.getElementById("search").select()`)
	p.Do(chromedp.KeyEvent(text), chromedp.KeyEvent(kb.Enter))
}

// choose selects a value of a filter.
func (p *explorer) choose(filter, value string) {
	p.t.Helper()
	p.Run(fmt.Sprintf(`{ const select = document.querySelector("#selects select[name=%s]"); select.value = %q;
		select.dispatchEvent(new Event("change", { bubbles: true })); }`, filter, value))
}

// view describes what the page shows: the fields, the number of entities and the rows.
const view = `JSON.stringify([location.hash, document.getElementById("title").innerText,
	document.getElementById("search").value, [...document.querySelectorAll("#selects select")].map((s) => s.value),
	document.getElementById("chips").innerText, document.getElementById("count").innerText,
	[...document.querySelectorAll(".list-row")].map((row) => row.id).sort()])`

func TestPage_KeepsFiltersInTheAddress(t *testing.T) {
	t.Parallel()
	c, instances, _ := newExplorable(t)
	p := openPage(t, c.url, "#/tasks")
	p.awaitCount("4")
	p.search("AGENT")
	p.awaitCount("3")
	p.choose("launchType", "EC2")
	p.Await(`location.hash === "#/tasks?search=AGENT&launchType=EC2" && document.querySelectorAll(".list-row").length === 3`)
	before := p.value(view)

	p.Do(chromedp.Reload())
	p.awaitCount("3")
	p.Await(fmt.Sprintf("%s === %q", view, before))

	p.Do(chromedp.NavigateBack())
	p.Await(`location.hash === "#/tasks?search=AGENT"`)
	p.awaitCount("3")
	p.Do(chromedp.NavigateBack())
	p.awaitCount("4")
	assert.Empty(t, p.value(`document.getElementById("search").value`))

	// A link sets a filter that has no field; a button removes it.
	p.visit("#/tasks?containerInstance=" + instances[0])
	p.awaitCount("2")
	p.awaitText("chips", "Container instance: "+idOf(instances[0]))
	p.Run(`document.querySelector("#chips button").click()`)
	p.awaitCount("4")

	// Tasks do not contain the ID of their EC2 instance; the page finds them by it nevertheless.
	p.search(p.value(`fetch("v1/instances?cluster=prod").then((r) => r.json())
		.then(({ items }) => { window.ec2 = items.find((i) => i.entity.containerInstanceARN.endsWith("`+
		idOf(instances[1])+`")).entity.EC2InstanceID; }), ""`) + p.awaitValue("window.ec2"))
	p.awaitCount("1")
	assert.Empty(t, p.ConsoleErrors())
}

// awaitValue waits until an expression has a value.
func (p *explorer) awaitValue(expression string) string {
	p.t.Helper()
	p.Await(fmt.Sprintf("Boolean(%s)", expression))
	return p.value(expression)
}

func TestPage_OpensDeepLinks(t *testing.T) {
	t.Parallel()
	c, instances, tasks := newExplorable(t)
	for name, tc := range map[string]struct{ fragment, element, text string }{
		"a task":            {"#/tasks?open=" + tasks[0], "detail-body", idOf(tasks[0])},
		"from a scheduler":  {"#task=" + url.QueryEscape(tasks[0]), "detail-body", idOf(tasks[0])},
		"an instance":       {"#instance=" + url.QueryEscape(instances[0]), "detail-body", "web:1"},
		"a stopped task":    {"#/tasks?open=" + tasks[3], "detail-body", "137"}, // the list does not have it
		"an unknown task":   {"#/tasks?open=" + tasks[0] + "0", "detail-missing", "no such task"},
		"no ARN":            {"#/tasks?open=nothing", "detail-missing", "no such"},
		"nothing matches":   {"#/tasks?search=nothing", "empty", "No task matches the filters"},
		"nothing at all":    {"#/stopped?cluster=staging", "empty", "No stopped task matches"},
		"an invalid filter": {"#/tasks?launchType=MOON", "empty", `Invalid launchType "MOON"`},
		"an unknown view":   {"#/moon?x=%zz", "title", "Clusters"},
	} {
		t.Run(name, func(t *testing.T) {
			p := openPage(t, c.url, tc.fragment)
			p.awaitText(tc.element, tc.text)
			assert.Equal(t, tc.element == "detail-body" || tc.element == "detail-missing",
				testenv.Evaluate[bool](p.Chromium, `!document.getElementById("detail").hidden`))
		})
	}
}

func TestPage_ReportsAServiceThatIsGoneAndRecovers(t *testing.T) {
	t.Parallel()
	c, instances, _ := newExplorable(t)
	proxy := testenv.NewProxy(t, strings.TrimPrefix(c.url, "http://"))
	p := openPage(t, "http://"+proxy.Address(), "#/tasks")
	p.awaitCount("4")
	p.Await(`document.getElementById("banner").hidden`)

	proxy.SetDisconnected(true)
	p.awaitText("banner", "Not live")
	p.Await(`document.body.classList.contains("stale")`)
	p.awaitCount("4") // the page keeps what it knows
	c.startInProd("web", instances[1:]...)
	proxy.SetDisconnected(false)
	p.Await(`document.getElementById("banner").hidden && document.getElementById("live-status").innerText === "Live"`)
	p.awaitCount("7")

	proxy.SetDisconnected(true) // the user does not wait for the automatic retry
	p.Await(`!document.getElementById("retry").hidden`)
	proxy.SetDisconnected(false)
	p.Run(`document.getElementById("retry").click()`)
	p.Await(`document.getElementById("live-status").innerText === "Live"`)
}

func TestPage_WorksBelowPathPrefix(t *testing.T) {
	t.Parallel()
	c, _, tasks := newExplorable(t)
	to, err := url.Parse(c.url)
	require.NoError(t, err)
	front := httptest.NewServer(http.StripPrefix("/stage", &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1, Transport: &http.Transport{DisableKeepAlives: true},
	}))
	t.Cleanup(front.Close)
	p := openPage(t, front.URL+"/stage", "#/tasks?open="+tasks[0])
	p.awaitCount("4")
	p.awaitText("detail-body", idOf(tasks[0]))
	p.Await(`fetch(document.querySelector(".entity-links a:last-child").href).then((r) => { window.json = r.ok; }),
		window.json === true`)
	assert.Empty(t, p.ConsoleErrors())
	for _, requested := range p.Requests() {
		assert.True(t, strings.HasPrefix(requested, front.URL+"/stage/"), requested)
	}
	c.stop() // ends the streams; otherwise the server would wait for them
}

// The page escapes text from ECS wherever it shows it.
func TestPage_EscapesText(t *testing.T) {
	t.Parallel()
	const attack = `<img src=x onerror=window.hacked=1>`
	w := newSystem(t, ecssim.Config{})
	instance := w.sim.AddInstances("prod", 1)[0]
	w.sim.RegisterTaskDefinition("agent")
	task := w.startInProd("agent", instance)[0]
	c := w.start()
	c.ready()
	w.putRecord("ecs/task/prod/"+task, fmt.Sprintf(`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{
		"taskArn":%q,"clusterArn":"arn:aws:ecs:us-east-1:123456789012:cluster/prod","containerInstanceArn":%q,"version":99,
		"taskDefinitionArn":"arn:aws:ecs:us-east-1:123456789012:task-definition/%[3]s:1","lastStatus":"STOPPED",
		"desiredStatus":"STOPPED","group":"%[3]s","startedBy":"%[3]s","stopCode":"%[3]s","stoppedReason":"%[3]s",
		"stoppedAt":"2999-01-01T00:00:00Z","createdAt":"2026-03-04T10:15:00Z","updatedAt":"2999-01-01T00:00:00Z",
		"containers":[{"name":"%[3]s","containerArn":"%[3]s","lastStatus":"%[3]s","reason":"%[3]s","image":"%[3]s",
		"exitCode":1}]}}`, task, instance, attack))
	p := openPage(t, c.url, "#/stopped?group="+url.PathEscape(attack)+"&open="+task)
	p.awaitText("list", attack)
	p.awaitText("stop-reason", attack)
	p.awaitText("chips", attack)
	assert.True(t, testenv.Evaluate[bool](p.Chromium, `window.hacked === undefined && !document.querySelector("main img, aside img")`))
	assert.Empty(t, p.ConsoleErrors())
}
