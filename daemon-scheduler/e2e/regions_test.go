package e2e

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const (
	memberAccount = "210987654321"
	euRegion      = "eu-west-1"
)

// place is an account and region of AWS with a cluster prod, which one Blox manages with others of the same name.
type place struct {
	*system
	cluster     string // ARN
	environment string // name of the environment of the cluster
	role        string // of the environment; empty for none
	instances   []string
	deployment  string // ID
}

// addPlace simulates a further account and region.
func (w *system) addPlace(account, region string) *system {
	w.t.Helper()
	other := &system{
		t: w.t, etcd: w.etcd, client: w.client, region: region,
		sim: ecssim.New(ecssim.Config{Account: account, Region: region}),
	}
	other.aws = other.newAWS()
	w.t.Cleanup(func() { other.sim.Close(); other.aws.Close() })
	other.sim.CreateCluster("prod")
	other.agent = other.sim.RegisterTaskDefinition("agent")
	return other
}

// newPlaces returns two accounts in two regions, the scheduler's own account and region first. Calls of w reach all.
func newPlaces(t *testing.T) []*place {
	w := newSystem(t)
	abroad, member := w.addPlace("123456789012", euRegion), w.addPlace(memberAccount, "us-east-1")
	both := w.addPlace(memberAccount, euRegion)
	w.serveAWS(ecssim.NewCloud(w.sim, abroad.sim, member.sim, both.sim))
	places := []*place{
		{system: w, environment: "own"}, {system: abroad, environment: "abroad"},
		{system: member, environment: "member", role: memberRole}, {system: both, environment: "both", role: memberRole},
	}
	for n, p := range places {
		p.cluster = strings.Replace(p.agent, "task-definition/agent:1", "cluster/prod", 1)
		p.instances = p.sim.AddInstances("prod", n+1) // as many as in no other place
	}
	return places
}

// startOwnStateServices runs a cluster-state-service in each place but the first. They share etcd.
func startOwnStateServices(places []*place) {
	for _, p := range places[1:] {
		p.startCSS("127.0.0.1:0")
	}
}

// startStateService runs one cluster-state-service that serves all places.
func startStateService(places []*place) (address string) {
	var sources []string
	for _, p := range places {
		source := "queue=blox_queue,region=" + cmp.Or(p.region, "us-east-1")
		if p.role != "" {
			source += ",role=" + p.role
		}
		sources = append(sources, source)
	}
	address, _ = places[0].startCSS("127.0.0.1:0", sources...)
	return address
}

func TestRegions_OneBloxManagesTwoAccountsInTwoRegions(t *testing.T) {
	t.Parallel()
	places := newPlaces(t)
	css := startStateService(places)
	d := places[0].startScheduler(css)
	changes := followTasks(t, css)
	for _, p := range places {
		d.createIn(p)
		p.deployment = d.deploy(d.getEnvironment(p.environment))
	}
	for _, p := range places {
		d.awaitCompleted(p.environment, p.deployment)
		p.awaitOneTaskEach(p.deployment, p.instances...)
		assert.Len(t, p.sim.Tasks("prod"), len(p.instances), "nothing is started elsewhere")
		assert.Equal(t, p.cluster, d.getEnvironment(p.environment).InstanceGroup.Cluster)
	}
	d.withoutRole(places)
	for _, p := range places {
		listed := getBody(t, "http://"+css+"/v1/tasks?cluster="+p.cluster)
		for _, tasks := range p.liveTasks(p.deployment) {
			assert.Contains(t, listed, tasks[0].ARN)
			testenv.Eventually(t, func() bool { return changes.have(tasks[0].ARN) })
		}
		p.assertNoDuplicates()
		for _, other := range places {
			assert.Equal(t, other == p, len(other.liveTasks(p.deployment)) > 0)
		}
	}
}

// taskChanges holds the lines of a stream.
type taskChanges struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *taskChanges) have(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(c.text.String(), text)
}

// Write implements io.Writer.
func (c *taskChanges) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

// followTasks reads the stream of all tasks until the test ends. It returns when the stream has begun.
func followTasks(t *testing.T, css string) *taskChanges {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var answer *http.Response
	testenv.Eventually(t, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+css+"/v1/stream/tasks", http.NoBody)
		require.NoError(t, err)
		answer, err = client.Do(request)
		if err == nil && answer.StatusCode != http.StatusOK {
			answer.Body.Close()
		}
		return err == nil && answer.StatusCode == http.StatusOK
	})
	changes, done := &taskChanges{}, make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(changes, answer.Body) // ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		answer.Body.Close()
		<-done
	})
	return changes
}

// getBody returns the body of a GET of cluster-state-service.
func getBody(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	return string(body)
}

// withoutRole revokes the role of one account in all regions, and restores it. The other account is unharmed.
func (d *scheduler) withoutRole(places []*place) {
	d.t.Helper()
	revoked := ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Role: memberRole},
	}}
	for _, p := range places[2:] {
		p.sim.SetFaults(revoked)
		p.killOne()
	}
	for _, p := range places[2:] {
		testenv.Eventually(d.t, func() bool { return len(d.getEnvironment(p.environment).Conditions) > 0 })
	}
	for _, p := range places[:2] {
		p.killOne()
		p.awaitOneTaskEach(p.deployment, p.instances...)
		assert.Empty(d.t, d.getEnvironment(p.environment).Conditions)
		assert.Equal(d.t, "healthy", string(*d.getEnvironment(p.environment).Health))
	}
	for _, p := range places[2:] {
		assert.Len(d.t, p.liveTasks(p.deployment), len(p.instances)-1, "nothing is started or stopped")
		p.sim.SetFaults(ecssim.Faults{})
		p.awaitOneTaskEach(p.deployment, p.instances...)
		testenv.Eventually(d.t, func() bool { return len(d.getEnvironment(p.environment).Conditions) == 0 })
	}
}

// createIn creates the environment of a place.
func (d *scheduler) createIn(p *place) {
	d.t.Helper()
	d.mustSend("POST", "/v1/environments", `{"name":"`+p.environment+`","taskDefinition":"agent","role":"`+p.role+`",
		"instanceGroup":{"cluster":"`+p.cluster+`"}}`, nil)
	environment := d.getEnvironment(p.environment)
	assert.Equal(d.t, strings.Replace(p.cluster, "cluster/prod", "task-definition/agent:1", 1), environment.TaskDefinition,
		"a family is of the cluster's account and region")
}

// killOne ends one task of the place's deployment.
func (p *place) killOne() {
	p.t.Helper()
	require.NoError(p.t, p.sim.KillTask(p.liveTasks(p.deployment)[p.instances[0]][0].ARN, 1))
}

func TestRegions_RequestsOfAnotherAccountRegionOrPartitionAreRefused(t *testing.T) {
	t.Parallel()
	places := newPlaces(t)
	startOwnStateServices(places)
	d := places[0].startServices()
	own, abroad, member := places[0], places[1], places[2]
	calls := func() (total int) {
		for _, p := range places[1:] {
			total += p.sim.Calls("DescribeTaskDefinition") + p.sim.Calls("StartTask")
		}
		return total
	}
	for name, tc := range map[string]struct {
		cluster, fields, code string
		status                int
	}{
		"a cluster of another account without a role": {member.cluster, "", "RoleRequired", 400},
		"a role of another account than the cluster's": {
			own.cluster, `,"role":"` + memberRole + `"`, "InvalidRequest", 400,
		},
		"a task definition of another region": {
			own.cluster, `,"taskDefinition":"` + abroad.agent + `"`, "TaskDefinitionElsewhere", 400,
		},
		"a task definition of another account": {
			own.cluster, `,"taskDefinition":"` + member.agent + `"`, "TaskDefinitionElsewhere", 400,
		},
		"a cluster of China": {"arn:aws-cn:ecs:cn-north-1:123456789012:cluster/prod", "", "PartitionMismatch", 400},
		"a cluster of GovCloud": {
			"arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/prod", "", "PartitionMismatch", 400,
		},
		"a region that the account has not enabled": {
			"arn:aws:ecs:ap-east-1:123456789012:cluster/prod", "", "ECSCredentialsExpired", 503,
		},
		"a host name for a region": {"arn:aws:ecs:example.com:123456789012:cluster/prod", "", "ClusterNotFound", 404},
		"a cluster that the region does not have": {
			"arn:aws:ecs:eu-west-1:123456789012:cluster/none", "", "ClusterNotFound", 404,
		},
	} {
		body := `{"name":"x","instanceGroup":{"cluster":"` + tc.cluster + `"}` + tc.fields
		if !strings.Contains(tc.fields, "taskDefinition") {
			body += `,"taskDefinition":"agent"`
		}
		answer, text := d.sendWith(http.Header{"Accept": {"application/problem+json"}}, "POST", "/v1/environments", body+"}")
		assert.Equal(t, tc.status, answer.StatusCode, "%s: %s", name, text)
		assert.Contains(t, text, `"code":"`+tc.code+`"`, name)
	}
	assert.Zero(t, calls(), "nothing is looked up or started elsewhere")
	var list models.Environments
	d.mustSend("GET", "/v1/environments", "", &list)
	assert.Empty(t, list.Items)

	d.createIn(member)
	environment := d.getEnvironment("member")
	answer, text := d.send("PATCH", "/v1/environments/member?deploymentToken="+environment.DeploymentToken, `{"role":""}`)
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode, text)
	assert.Contains(t, text, "set role to the ARN of an IAM role of account "+memberAccount)
	assert.Equal(t, memberRole, d.getEnvironment("member").Role)
}

// While STS throttles, a role's environments wait: nothing fails, nothing is started twice, and the others go on.
func TestRegions_STSThatThrottlesDelaysTheRoleAlone(t *testing.T) {
	t.Parallel()
	places := newPlaces(t)
	startOwnStateServices(places)
	own, member, both := places[0], places[2], places[3]
	d := own.startServices()
	for _, p := range []*place{own, member} {
		d.createIn(p)
		p.deployment = d.deploy(d.getEnvironment(p.environment))
		d.awaitCompleted(p.environment, p.deployment)
	}
	own.sim.ExpireRoles()
	own.sim.SetFaults(ecssim.Faults{Throttle: map[string]float64{"AssumeRole": 1}})
	answer, text := d.sendWith(http.Header{"Accept": {"application/problem+json"}}, "POST", "/v1/environments",
		`{"name":"both","taskDefinition":"agent","role":"arn:aws:iam::`+memberAccount+`:role/other",
		"instanceGroup":{"cluster":"`+both.cluster+`"}}`)
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, text)
	assert.Contains(t, text, `"code":"STSUnavailable"`)

	for _, p := range []*place{own, member} {
		p.killOne()
	}
	own.awaitOneTaskEach(own.deployment, own.instances...)
	assert.Empty(t, d.getEnvironment("own").Conditions)
	testenv.Eventually(t, func() bool { return len(d.getEnvironment("member").Conditions) > 0 })
	assert.Len(t, member.liveTasks(member.deployment), len(member.instances)-1)

	own.sim.SetFaults(ecssim.Faults{})
	member.awaitOneTaskEach(member.deployment, member.instances...)
	testenv.Eventually(t, func() bool { return len(d.getEnvironment("member").Conditions) == 0 })
	assert.Zero(t, d.getDeployment("member", member.deployment).FailedTasks)
	own.assertNoDuplicates()
	member.assertNoDuplicates()
}
