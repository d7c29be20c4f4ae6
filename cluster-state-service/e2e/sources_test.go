package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/ecssim/conformance"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

const (
	memberAccount = "210987654321"
	memberRole    = "arn:aws:iam::" + memberAccount + ":role/blox"
	ownSource     = "region=us-east-1,queue=blox_queue"
	irishSource   = "region=eu-west-1,queue=blox_queue"
	memberSource  = "region=us-east-1,role=" + memberRole + ",external-id=secret,queue=blox_queue"
)

// cloud is a system of two accounts, one of them with two regions, each with a cluster prod and a queue.
type cloud struct {
	*system
	irish, member *ecssim.Sim
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	return newCloudOf(t, ecssim.Config{})
}

// newCloudOf returns a cloud whose simulators have a configuration, but for the account and region.
func newCloudOf(t *testing.T, cfg ecssim.Config) *cloud {
	t.Helper()
	irish, member := cfg, cfg
	irish.Region, member.Account = "eu-west-1", memberAccount
	w := &cloud{system: newSystem(t, cfg), irish: ecssim.New(irish), member: ecssim.New(member)}
	require.NoError(t, w.sim.RequireExternalID(memberRole, "secret"))
	validated := conformance.New(ecssim.NewCloud(w.sim, w.irish, w.member))
	w.aws.Close()
	w.aws = httptest.NewServer(validated)
	t.Cleanup(func() {
		w.irish.Close()
		w.member.Close()
		assert.Empty(t, validated.Violations(), "calls and answers conform to the API models")
	})
	return w
}

func (w *cloud) all() []*ecssim.Sim { return []*ecssim.Sim{w.sim, w.irish, w.member} }

// runSources runs a service with these values of --source.
func (w *cloud) runSources(sources ...string) *css {
	w.t.Helper()
	var flags []string
	for _, source := range sources {
		flags = append(flags, "--source", source)
	}
	return w.run(testenv.FreeAddress(w.t), "", flags...)
}

// stateOf returns the last status of every record in simulators, by ARN.
func (w *cloud) stateOf(sims ...*ecssim.Sim) map[string]string {
	all := map[string]string{}
	for _, sim := range sims {
		maps.Copy(all, (&system{sim: sim}).ecsState())
	}
	return all
}

func (c *css) awaitServed(want func() map[string]string) {
	c.t.Helper()
	testenv.Eventually(c.t, func() bool { return assert.ObjectsAreEqual(want(), c.served()) },
		"the served state does not converge to ECS's")
}

// revoke makes ECS and STS refuse the member's role.
func (w *cloud) revoke() {
	denied := map[string]ecssim.Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Role: memberRole}, "sqs": {Code: "AccessDenied", Fraction: 1},
	}
	w.member.SetFaults(ecssim.Faults{Refusals: denied})
	w.sim.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"AssumeRole": {Code: "AccessDenied", Fraction: 1},
	}})
	w.sim.ExpireRoles()
}

func (w *cloud) restore() {
	w.member.SetFaults(ecssim.Faults{})
	w.sim.SetFaults(ecssim.Faults{})
}

// list returns the ARNs of a list's entities, and its notReconciled.
func (c *css) list(path string) (arns, notReconciled []string) {
	c.t.Helper()
	answer, body := c.get(path)
	require.Equal(c.t, http.StatusOK, answer.StatusCode, body)
	var list struct {
		Items []struct {
			Entity struct{ TaskARN, ContainerInstanceARN string }
		}
		Metadata models.ListMetadata
	}
	require.NoError(c.t, json.Unmarshal([]byte(body), &list))
	for _, i := range list.Items {
		arns = append(arns, i.Entity.TaskARN+i.Entity.ContainerInstanceARN)
	}
	return arns, list.Metadata.NotReconciled
}

func (c *css) readiness() (status int, r models.Readiness) {
	c.t.Helper()
	answer, body := c.get("/v1/ready")
	require.NoError(c.t, json.Unmarshal([]byte(body), &r))
	return answer.StatusCode, r
}

func clusterIn(region, account, name string) string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:cluster/%s", region, account, name)
}

// One service serves two accounts and two regions whose clusters have equal names.
func TestSources_ServeSeveralAccountsAndRegions(t *testing.T) {
	w := newCloud(t)
	for i, sim := range w.all() {
		sim.AddInstances("prod", i+1)
	}
	c := w.runSources(ownSource, irishSource, memberSource).ready()
	assert.Equal(t, w.stateOf(w.all()...), c.served())
	for i, cluster := range []string{
		clusterIn("us-east-1", "123456789012", "prod"), clusterIn("eu-west-1", "123456789012", "prod"),
		clusterIn("us-east-1", memberAccount, "prod"),
	} {
		arns, _ := c.list("/v1/instances?cluster=" + cluster)
		assert.Len(t, arns, i+1, cluster)
	}
	arns, _ := c.list("/v1/instances?cluster=prod")
	assert.Len(t, arns, 6, "a name matches in every account and region")
	for filter, want := range map[string]int{
		"account=123456789012": 3, "account=" + memberAccount: 3, "account=!" + memberAccount: 3, "region=eu-west-1": 2,
		"region=us-east-1&account=123456789012": 1, "region=!us-east-1,eu-west-1": 0, "cluster=prod&region=us-east-1": 4,
	} {
		arns, _ := c.list("/v1/instances?" + filter)
		assert.Len(t, arns, want, filter)
	}

	_, body := c.get("/v1/clusters")
	var clusters models.Clusters
	require.NoError(t, json.Unmarshal([]byte(body), &clusters))
	assert.Equal(t, []string{"123456789012", memberAccount}, clusters.Accounts)
	assert.Equal(t, []string{"eu-west-1", "us-east-1"}, clusters.Regions)
	require.Len(t, clusters.Items, 3)
	for _, cluster := range clusters.Items {
		assert.Equal(t, clusterIn(cluster.Region, cluster.Account, *cluster.Name), *cluster.ClusterARN)
	}

	_, body = c.get("/v1/clusters?region=us-east-1&account=" + memberAccount)
	require.NoError(t, json.Unmarshal([]byte(body), &clusters))
	require.Len(t, clusters.Items, 1)
	assert.Equal(t, clusterIn("us-east-1", memberAccount, "prod"), *clusters.Items[0].ClusterARN)
	answer, body := c.get("/v1/clusters?account=prod")
	assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
	assert.Contains(t, body, "must be account IDs of 12 digits")

	_, irish, endIrish := c.stream("/v1/stream/instances?region=!us-east-1&deleted=true")
	defer endIrish()
	_, next, end := c.stream("/v1/stream/instances?cluster=" + clusterIn("us-east-1", memberAccount, "prod"))
	defer end()
	joined := w.irish.AddInstances("prod", 1)
	w.sim.AddInstances("prod", 1)
	added := w.member.AddInstances("prod", 1)
	assert.Contains(t, next(), added[0], "events of each queue arrive, and the stream has those of its cluster only")
	assert.Contains(t, irish(), joined[0], "the stream has those of the region only")
	c.awaitServed(func() map[string]string { return w.stateOf(w.all()...) })
	assert.Zero(t, w.sim.RoleCalls(memberRole, "ListClusters"))
	assert.Positive(t, w.member.RoleCalls(memberRole, "ListClusters"))
	assert.Positive(t, w.member.RoleCalls(memberRole, "ReceiveMessage"))
}

// While the role of one account is revoked, the others are served, and no cluster of it is taken for empty.
func TestSources_AServiceStartsWhileARoleIsRevoked(t *testing.T) {
	w := newCloud(t)
	for i, sim := range w.all() {
		sim.AddInstances("prod", i+1)
	}
	w.revoke()
	c := w.runSources(ownSource, irishSource, memberSource).ready()
	assert.Equal(t, w.stateOf(w.sim, w.irish), c.served())
	_, notReconciled := c.list("/v1/instances")
	assert.Equal(t, []string{clusterIn("us-east-1", memberAccount, "*")}, notReconciled)
	status, readiness := c.readiness()
	assert.Equal(t, http.StatusOK, status)
	require.NotEmpty(t, readiness.Warnings)
	assert.Equal(t, "source 210987654321/us-east-1: not yet reconciled with ECS: assume role "+memberRole+": AccessDenied",
		readiness.Warnings[0])

	theirs := "/v1/instances?cluster=" + clusterIn("us-east-1", memberAccount, "prod")
	answer, body := c.get(theirs)
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	assert.Contains(t, body, "assume role "+memberRole+": AccessDenied")
	arns, _ := c.list("/v1/instances?cluster=" + clusterIn("us-east-1", "123456789012", "prod"))
	assert.Len(t, arns, 1)
	answer, _ = c.get("/v1/instances/prod/" + w.sim.Instances("prod")[0].ARN)
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	answer, _ = c.get("/v1/instances/prod/" + w.member.Instances("prod")[0].ARN)
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "its ARN names the account")
	w.sim.AddInstances("prod", 1)
	c.awaitServed(func() map[string]string { return w.stateOf(w.sim, w.irish) })

	w.restore()
	c.awaitServed(func() map[string]string { return w.stateOf(w.all()...) })
	testenv.Eventually(t, func() bool {
		_, readiness = c.readiness()
		_, notReconciled = c.list("/v1/instances")
		return len(readiness.Warnings)+len(notReconciled) == 0
	})
}

// A role that is revoked later leaves its records, and the others' events and reads unharmed.
func TestSources_ARoleIsRevokedAndRestored(t *testing.T) {
	w := newCloud(t)
	for _, sim := range w.all() {
		sim.AddInstances("prod", 2)
	}
	c := w.runSources(ownSource, irishSource, memberSource).ready()
	before := w.stateOf(w.member)
	w.revoke()
	missed := w.member.AddInstances("prod", 1)
	added := w.irish.AddInstances("prod", 1)
	testenv.Eventually(t, func() bool { return c.served()[added[0]] == "ACTIVE" })
	assert.Subset(t, c.served(), before)
	testenv.Eventually(t, func() bool {
		status, readiness := c.readiness()
		return status == http.StatusOK && len(readiness.Warnings) > 0
	})
	w.restore()
	testenv.Eventually(t, func() bool { return c.served()[missed[0]] == "ACTIVE" })
}

// The events of all accounts may arrive in one queue. ECS of the event's own account verifies an old one, and refreshes
// an instance.
func TestSources_ShareAQueue(t *testing.T) {
	w := newCloud(t)
	w.sim.AddInstances("prod", 1)
	theirs := w.member.AddInstances("prod", 2)
	c := w.runSources(ownSource, strings.TrimSuffix(memberSource, ",queue=blox_queue")).ready()
	cluster := clusterIn("us-east-1", memberAccount, "prod")
	describes := func(sim *ecssim.Sim, role string) int { return sim.RoleCalls(role, "DescribeContainerInstances") }
	ours, members := describes(w.sim, ""), describes(w.member, memberRole)
	unknown := theirs[0][:len(theirs[0])-4] + "0000"
	w.sendMessage(`{"version":"0","id":"1","detail-type":"ECS Container Instance State Change","source":"aws.ecs",
		"account":"` + memberAccount + `","time":"2026-03-04T10:15:30Z","region":"us-east-1","resources":[],"detail":{
		"clusterArn":"` + cluster + `","containerInstanceArn":"` + unknown + `","status":"ACTIVE","agentConnected":true,
		"version":7,"updatedAt":"2026-03-04T10:15:30Z"}}`)
	testenv.Eventually(t, func() bool { return describes(w.member, memberRole) == members+1 }, "not verified")
	testenv.Eventually(t, func() bool { return w.messageCount() == 0 })
	assert.Equal(t, w.stateOf(w.sim, w.member), c.served(), "the member's ECS does not know the instance")

	status, read := c.refresh(refreshBody(t, cluster, theirs...))
	require.Equal(t, http.StatusOK, status, read)
	assert.Equal(t, members+2, describes(w.member, memberRole))
	assert.Equal(t, ours, describes(w.sim, ""), "calls go to the account of the cluster only")
	status, read = c.refresh(refreshBody(t, clusterIn("eu-west-1", memberAccount, "prod"),
		strings.ReplaceAll(theirs[0], "us-east-1", "eu-west-1")))
	assert.Equal(t, http.StatusBadRequest, status, "no source covers that region")
	assert.Equal(t, "The cluster is of another account or region\n", read)
	w.revoke()
	status, _ = c.refresh(refreshBody(t, cluster, theirs...))
	assert.Equal(t, http.StatusServiceUnavailable, status)
}

// A file that changes starts and stops sources without harm to the others.
func TestSources_FollowTheirFile(t *testing.T) {
	w := newCloud(t)
	for i, sim := range w.all() {
		sim.AddInstances("prod", i+1)
	}
	path := filepath.Join(t.TempDir(), "sources.yaml")
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	const own = "sources:\n- {region: us-east-1, queue: blox_queue}\n"
	write(own)
	c := w.run(testenv.FreeAddress(t), "", "--sources-file", path).ready()
	assert.Equal(t, w.stateOf(w.sim), c.served())

	write(own + "- {region: us-east-1, role: '" + memberRole + "', external-id: secret, queue: blox_queue}\n")
	c.awaitServed(func() map[string]string { return w.stateOf(w.sim, w.member) })
	w.member.AddInstances("prod", 1)
	c.awaitServed(func() map[string]string { return w.stateOf(w.sim, w.member) })

	write("sources: [")
	testenv.Eventually(t, func() bool {
		_, metrics := c.do(http.MethodGet, "/metrics")
		return !strings.Contains(metrics, "blox_css_sources_file_reload_failures_total 0\n")
	})
	w.member.AddInstances("prod", 1)
	c.awaitServed(func() map[string]string { return w.stateOf(w.sim, w.member) })

	write(own + "- {region: eu-west-1}\n")
	c.awaitServed(func() map[string]string { return w.stateOf(w.all()...) })
	_, metrics := c.do(http.MethodGet, "/metrics")
	assert.NotContains(t, metrics, `source="210987654321/us-east-1"`)
	assert.Contains(t, metrics, `source="eu-west-1"`)
	calls := w.member.RoleCalls(memberRole, "ReceiveMessage")
	w.sim.AddInstances("prod", 1)
	c.awaitServed(func() map[string]string { return w.stateOf(w.all()...) })
	assert.Equal(t, calls, w.member.RoleCalls(memberRole, "ReceiveMessage"), "the source was removed")
}
