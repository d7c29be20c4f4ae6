package robustness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/internal/ecssim"
)

const cliTimeout = 20 * time.Second

// surfaceCheck compares what every surface of daemon-scheduler shows of an environment at rest with the simulator.
type surfaceCheck struct {
	*system
	bin string // directory of the program blox
}

// check adds what a surface shows otherwise.
func (c surfaceCheck) check(ctx context.Context, f *findings, environments []userEnvironment, state ecssim.State) {
	leader := c.leader(ctx)
	for n, address := range c.ds {
		metrics, err := c.metrics(ctx, c.addresses[schedulerNames[n]])
		if err != nil {
			f.add(promiseSurfaces, "ds-%d: /metrics: %s", n, err)
			return
		}
		for _, e := range environments {
			t, settled := newTruth(e.name, e.cluster, state)
			if !e.created || e.deleteSent || !settled {
				continue
			}
			at := func(surface string, differences []string, err error) {
				if err != nil {
					differences = append(differences, err.Error())
				}
				for _, d := range differences {
					f.add(promiseSurfaces, "ds-%d: %s of %s: %s", n, surface, e.name, d)
				}
			}
			shown := c.checkReads(ctx, address, t, at)
			at("/metrics", t.compareMetrics(metrics, leader == schedulerNames[n], shown.Conditions), nil)
			c.checkStream(ctx, address, t, at)
			c.checkCLI(ctx, address, t, at)
		}
	}
}

// report reports the differences of a surface, or why it could not be read.
type report func(surface string, differences []string, err error)

// checkReads compares the responses of the API, and returns the environment.
func (c surfaceCheck) checkReads(ctx context.Context, address string, t truth, at report) (shown shownEnvironment) {
	path := "/v1/environments/" + t.environment
	err := c.read(ctx, address, path, &shown)
	at("GET", t.compareEnvironment(shown), err)

	var list struct{ Items []shownEnvironment }
	err = c.read(ctx, address, "/v1/environments", &list)
	n := slices.IndexFunc(list.Items, func(e shownEnvironment) bool { return e.Name == t.environment })
	if n < 0 {
		at("the list", []string{"it is not listed"}, err)
	} else {
		at("the list", t.compareEnvironment(list.Items[n]), err)
	}

	var instances struct{ Items []shownInstance }
	err = c.read(ctx, address, path+"/instances", &instances)
	at("the instances", t.compareInstances(instances.Items), err)

	var deployments deploymentsJSON
	err = c.read(ctx, address, path+"/deployments", &deployments)
	at("the deployments", t.compareDeployments(deployments), err)

	var revision struct{ TaskDefinition string }
	err = c.read(ctx, address, path+"/revisions/"+strconv.Itoa(shown.EffectiveRevision), &revision)
	if err == nil && revision.TaskDefinition != t.definition {
		err = fmt.Errorf("revision %d has %s, not %s", shown.EffectiveRevision, revision.TaskDefinition, t.definition)
	}
	at("the effective revision", nil, err)
	at("the events", nil, c.checkEvents(ctx, address, deployments))
	return shown
}

// checkEvents checks that the completion of the newest completed deployment is an event.
func (c surfaceCheck) checkEvents(ctx context.Context, address string, deployments deploymentsJSON) error {
	for _, d := range deployments.Items {
		if d.RolloutState != "COMPLETED" {
			continue
		}
		var events struct {
			Items []struct{ TaskDefinition string }
		}
		if err := c.read(ctx, address, "/v1/events?action=deploymentCompleted&deployment="+d.ID, &events); err != nil {
			return err
		}
		if len(events.Items) != 1 || events.Items[0].TaskDefinition != d.TaskDefinition {
			return fmt.Errorf("deployment %s has the events of its completion %v, and %s", d.ID, events.Items, d.TaskDefinition)
		}
		return nil
	}
	return nil
}

func (c surfaceCheck) read(ctx context.Context, address, path string, result any) error {
	r, err := c.get(ctx, address, path)
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("%s: %d: %s", path, r.status, r.body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(r.body, result)
}

// checkStream compares the instances with which the stream of instances starts.
func (c surfaceCheck) checkStream(ctx context.Context, address string, t truth, at report) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	url := "http://" + address + "/v1/stream/environments/" + t.environment + "/instances"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		at("the stream", nil, err)
		return
	}
	response, err := c.http.Do(request)
	if err != nil {
		at("the stream", nil, err)
		return
	}
	defer response.Body.Close()
	instances, counts, err := readInstances(bufio.NewScanner(response.Body))
	differences := t.compareInstances(instances)
	if n := len(t.tasks); counts != [3]int{n, n, n} {
		differences = append(differences, fmt.Sprintf("counts of %d instances: %v", n, counts))
	}
	at("the stream", differences, err)
}

// readInstances reads a stream until its first line with metadata. It returns the instances, and how many are desired,
// run and are available.
func readInstances(lines *bufio.Scanner) (instances []shownInstance, counts [3]int, err error) {
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		var line struct {
			Instance *shownInstance
			Counts   *struct{ DesiredCount, RunningCount, AvailableCount int }
			Metadata *struct{}
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, counts, err
		}
		switch {
		case line.Instance != nil:
			instances = append(instances, *line.Instance)
		case line.Counts != nil:
			counts = [3]int{line.Counts.DesiredCount, line.Counts.RunningCount, line.Counts.AvailableCount}
		case line.Metadata != nil:
			return instances, counts, nil
		}
	}
	return nil, counts, errors.Join(errors.New("the stream ended before its metadata"), lines.Err())
}

// checkCLI compares the output of the program blox.
func (c surfaceCheck) checkCLI(ctx context.Context, address string, t truth, at report) {
	var shown shownEnvironment
	err := c.blox(ctx, address, &shown, "environments", "describe", t.environment)
	at("blox environments describe", t.compareEnvironment(shown), err)

	var instances json.RawMessage
	err = c.blox(ctx, address, &instances, "environments", "instances", t.environment)
	var list []shownInstance
	if err == nil && json.Unmarshal(instances, &list) != nil {
		var items struct{ Items []shownInstance }
		err = json.Unmarshal(instances, &items)
		list = items.Items
	}
	at("blox environments instances", t.compareInstances(list), err)
}

// blox runs the program blox and decodes its output.
func (c surfaceCheck) blox(ctx context.Context, address string, result any, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, cliTimeout)
	defer cancel()
	args = append([]string{"--endpoint", "http://" + address, "--output", "json"}, args...)
	out, err := exec.CommandContext(ctx, filepath.Join(c.bin, "blox"), args...).Output()
	if err != nil {
		return fmt.Errorf("blox %s: %w", strings.Join(args, " "), err)
	}
	return json.Unmarshal(out, result)
}

// metrics returns the values of a replica's metrics, by series.
func (c surfaceCheck) metrics(ctx context.Context, address string) (map[string]float64, error) {
	r, err := c.get(ctx, address, "/metrics")
	if err != nil {
		return nil, err
	}
	return parseMetrics(string(r.body)), nil
}

// parseMetrics returns the values in Prometheus's text format, by series. Labels are in the order of the text.
func parseMetrics(text string) map[string]float64 {
	series := map[string]float64{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if found {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(line, "#") {
			series[name] = n
		}
	}
	return series
}

// checkStateMetrics compares the numbers of tasks and instances in each cache of cluster-state-service with its lists.
func (c surfaceCheck) checkStateMetrics(ctx context.Context, f *findings, stored map[string]change) {
	want := map[string]float64{}
	for key, latest := range stored {
		switch {
		case latest.deleted:
		case strings.HasPrefix(key, taskPrefix):
			want["blox_css_cache_tasks"]++
		case strings.HasPrefix(key, instancePrefix):
			want["blox_css_cache_instances"]++
		}
	}
	for n, name := range serviceNames[:len(c.css)] {
		series, err := c.metrics(ctx, c.addresses[name])
		for _, metric := range []string{"blox_css_cache_tasks", "blox_css_cache_instances"} {
			if err != nil || series[metric] != want[metric] {
				f.add(promiseSurfaces, "css-%d: %s is %v, not %v: %v", n, metric, series[metric], want[metric], err)
			}
		}
	}
}
