package robustness

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

// newTestSystem returns a system without processes: its simulator serves the places within the test.
func newTestSystem(t *testing.T, places ...place) (s *system, sims []*ecssim.Sim) {
	t.Helper()
	for _, p := range places {
		cfg := ecssim.Defaults()
		cfg.Account, cfg.Region, cfg.QueueName = p.account, p.region, queueName
		sim := ecssim.New(cfg)
		t.Cleanup(sim.Close)
		sims = append(sims, sim)
	}
	server := httptest.NewServer(ecssim.NewCloud(sims[0], sims[1:]...))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	t.Cleanup(server.Close)
	s = &system{history: newTestHistory(t), places: places, http: client}
	s.sim = &simulator{client: client, url: server.URL, places: places, at: places[0]}
	operator, err := newOperator(t.Context(), strings.TrimPrefix(server.URL, "http://"), places)
	require.NoError(t, err)
	s.operator = operator
	return s, sims
}

func TestSimulator_ReachesTheAccountAndRegionOfAnARN(t *testing.T) {
	s, sims := newTestSystem(t, allPlaces...)
	for n, p := range allPlaces {
		query := url.Values{"cluster": {p.clusterARN("default")}, "count": {string(rune('1' + n))}}
		require.NoError(t, s.sim.post(t.Context(), "instances", query))
	}
	for n, sim := range sims {
		assert.Len(t, sim.Instances("default"), n+1)
	}
	all, err := s.sim.state(t.Context())
	require.NoError(t, err)
	assert.Len(t, all.Instances, 10, "of all places")
	one, err := s.sim.clusterState(t.Context(), allPlaces[3].clusterARN("default"))
	require.NoError(t, err)
	assert.Len(t, one.Instances, 4)
	definition, err := s.sim.in(allPlaces[2]).registerTaskDefinition(t.Context(), "agent", false)
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:ecs:us-east-1:"+memberAccount+":task-definition/agent:1", definition)
	assert.NoError(t, s.operator.deregister(t.Context(), definition), "the operator reaches the other account")
	require.NoError(t, s.operator.places[allPlaces[3].String()].sendMessages(t.Context(), 0))
	queued, err := s.sim.queued(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 10+len(foreignMessages)+1, queued)
}

func TestAssignPlaces_DrawsTheFaultsOfAWSAlone(t *testing.T) {
	newPlan := func(seed uint64, places int) []action {
		return assignPlaces(newScenario(seed, 5*time.Minute, faultKinds, false), seed, places)
	}
	plan, seen := newPlan(7, 4), map[int]bool{}
	assert.Equal(t, plan, newPlan(7, 4), "it depends on the seed alone")
	for _, a := range plan {
		seen[a.Place] = true
		if a.Kind == "kill" || a.Kind == "user" || a.Kind == "recreated-cluster" {
			assert.Zero(t, a.Place, a.Kind)
		}
	}
	assert.Equal(t, map[int]bool{0: true, 1: true, 2: true, 3: true}, seen)
	assert.Equal(t, newScenario(7, 5*time.Minute, faultKinds, false), newPlan(7, 1))
}

func TestPlan_HasTheFaultsThatItsRegionsCanHave(t *testing.T) {
	for regions, revoked := range map[string]bool{"1": false, "2": false, "3": true} {
		var out bytes.Buffer
		require.NoError(t, Run(t.Context(), []string{"--plan", "--seed", "2", "--regions", regions}, &out))
		assert.Equal(t, revoked, strings.Contains(out.String(), "revoked-role"), "%s regions", regions)
	}
	assert.Contains(t, config{seed: 1, regions: 3}.replayCommand(), "--regions 3")
}

func TestPlaces_HaveFlags(t *testing.T) {
	assert.Equal(t, []string{"--account", ownAccount, "--region", "us-east-1"}, simulatorFlags(allPlaces[:1]))
	assert.Equal(t, []string{
		"--account", ownAccount, "--region", "us-east-1", "--region", "eu-west-1", "--account", memberAccount,
	}, simulatorFlags(allPlaces))
	assert.Equal(t, []string{"--queue", "q"}, sourceFlags(allPlaces[:1], "q"))
	assert.Equal(t, "region=us-east-1,queue=q,role="+memberRole, sourceFlags(allPlaces, "q")[5])
	assert.Equal(t, memberRole, roleOf(allPlaces[3].clusterARN("x")))
	assert.Empty(t, roleOf(home.clusterARN("x")))
}

func TestSimulatorFaults_Overlap(t *testing.T) {
	s, sims := newTestSystem(t, home, allPlaces[2])
	f := newSimulatorFaults(s)
	none := func() {}
	late, err := f.delayEvents(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, f.inject(t.Context(), action{Kind: "event-faults", Place: 1, Pick: 0.5}, func() {
		assert.InDelta(t, 0.05, sims[1].Faults().Events.Drop, 1e-9)
		assert.InDelta(t, lateFraction, sims[1].Faults().Events.Delay, 1e-9)
		assert.Zero(t, sims[0].Faults().Events, "the other place has no fault")
	}))
	assert.InDelta(t, lateFraction, sims[1].Faults().Events.Delay, 1e-9, "the first fault goes on")
	require.NoError(t, f.revokeRole(t.Context(), func() {
		require.NoError(t, f.inject(t.Context(), action{Kind: "caller-errors", Pick: 0.1}, none))
		for _, sim := range sims {
			assert.Equal(t, memberRole, sim.Faults().Refusals["sts"].Role)
		}
	}))
	require.NoError(t, late())
	for _, sim := range sims {
		assert.Equal(t, ecssim.Faults{}, sim.Faults())
	}
}

func TestRecreateCluster_ReplacesEveryInstanceAndTask(t *testing.T) {
	s, sims := newTestSystem(t, home, allPlaces[2])
	e := &executor{
		system: s, instances: &instances{system: s, claimed: map[string]bool{}}, users: newUserClient(s),
		simulated: newSimulatorFaults(s), watch: newEtcdWatch(s),
	}
	require.NoError(t, e.instances.register(t.Context()))
	require.NotEmpty(t, sims[1].StartFargateTask("default", "web"))
	before := sims[1].Instances("default")
	a := action{Kind: "recreated-cluster", Pick: 0.002001} // the default cluster of the second place
	require.Equal(t, allPlaces[2].clusterARN("default"), e.instances.pickCluster(a))
	require.False(t, deletesEnvironments(a))
	require.NoError(t, e.apply(t.Context(), a))
	active := slices.DeleteFunc(sims[1].Instances("default"), func(i ecssim.Instance) bool {
		return i.Status == "INACTIVE"
	})
	assert.Len(t, active, len(before))
	for _, i := range active {
		assert.False(t, slices.ContainsFunc(before, func(old ecssim.Instance) bool { return old.ARN == i.ARN }))
	}
	for _, task := range sims[1].Tasks("default") {
		assert.False(t, task.Live())
	}
	assert.Positive(t, sims[1].Calls("DeleteCluster"))
	assert.Zero(t, sims[0].Calls("DeleteCluster"))
	assert.Equal(t, ecssim.Faults{}, sims[1].Faults())

	require.True(t, e.instances.claim(home.clusterARN("default")))
	require.NoError(t, e.instances.apply(t.Context(), action{Kind: "register", Pick: 0}))
	assert.Len(t, sims[0].Instances("default"), len(before), "a claimed cluster does not change")
}

func TestDeleteAll_DeletesTheEnvironmentsOfTheClusterAlone(t *testing.T) {
	s, _ := newTestSystem(t, home)
	u := newUserClient(s)
	u.environments = []*userEnvironment{
		{slot: 1, cluster: "a"}, {slot: 2, cluster: "b"}, {slot: 3, cluster: "a"}, {slot: 4, cluster: "a", deleteSent: true},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, n := range []int{1, 3} {
			<-u.slots[n]
			u.update(func() { u.environments[n-1].deleteSent = true })
		}
	}()
	u.deleteAll(t.Context(), "a")
	<-done
	assert.Empty(t, u.of("a"))
	assert.Len(t, u.of("b"), 1)
	assert.Empty(t, u.slots[2])
}

func TestIsInternalError_AcceptsUnavailability(t *testing.T) {
	for text, tc := range map[string]struct {
		status int
		want   bool
	}{
		"Server Error":           {500, true},
		"bad gateway":            {502, true},
		"ECS denies access: no.": {503, false},
		"ECS is unavailable":     {503, false},
		"Cluster is inactive":    {404, false},
	} {
		assert.Equal(t, tc.want, isInternalError(response{status: tc.status, body: []byte(text)}), text)
	}
}
