package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

const memberRole = "arn:aws:iam::210987654321:role/blox"

// otherAccount returns a system of another account with a cluster prod, whose cluster-state-service shares w's etcd.
// Calls of w with credentials of its roles reach it.
func (w *system) otherAccount(account string) *system {
	w.t.Helper()
	other := &system{t: w.t, sim: ecssim.New(ecssim.Config{Account: account}), etcd: w.etcd, client: w.client}
	other.aws = other.newAWS()
	w.t.Cleanup(func() { other.sim.Close(); other.aws.Close() })
	other.sim.CreateCluster("prod")
	other.agent = other.sim.RegisterTaskDefinition("agent")
	w.serveAWS(ecssim.NewCloud(w.sim, other.sim))
	other.startCSS("127.0.0.1:0")
	return other
}

// One daemon-scheduler manages clusters of two accounts. While the role of one is revoked, the other is unharmed.
func TestRole_ManagesAClusterOfAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	own := w.sim.AddInstances("prod", 2)
	member := w.otherAccount("210987654321")
	theirs := member.sim.AddInstances("prod", 3)
	d := w.startServices()
	ownID := d.deploy(d.createEnvironment("own"))
	var logs models.Environment
	d.mustSend("POST", "/v1/environments", `{"name":"logs","taskDefinition":"agent","role":"`+memberRole+`",
		"instanceGroup":{"cluster":"arn:aws:ecs:us-east-1:210987654321:cluster/prod"}}`, &logs)
	id := d.deploy(logs)
	d.awaitCompleted("own", ownID)
	d.awaitCompleted("logs", id)
	w.awaitOneTaskEach(ownID, own...)
	member.awaitOneTaskEach(id, theirs...)
	assert.Positive(t, member.sim.RoleCalls(memberRole, "StartTask"))
	assert.Zero(t, w.sim.RoleCalls(memberRole, "StartTask"))

	member.sim.SetFaults(ecssim.Faults{Refusals: map[string]ecssim.Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Role: memberRole},
	}})
	require.NoError(t, member.sim.KillTask(member.liveTasks(id)[theirs[0]][0].ARN, 1))
	testenv.Eventually(t, func() bool { return len(d.getEnvironment("logs").Conditions) > 0 })
	require.NoError(t, w.sim.KillTask(w.liveTasks(ownID)[own[0]][0].ARN, 1))
	w.awaitOneTaskEach(ownID, own...)
	assert.Empty(t, d.getEnvironment("own").Conditions)
	assert.Len(t, member.liveTasks(id), 2, "nothing else is stopped")

	member.sim.SetFaults(ecssim.Faults{})
	member.awaitOneTaskEach(id, theirs...)
	testenv.Eventually(t, func() bool { return len(d.getEnvironment("logs").Conditions) == 0 })
	w.assertNoDuplicates()
	member.assertNoDuplicates()
}
