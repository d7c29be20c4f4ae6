package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

// Streams of equal names in several accounts and regions have checkpoints and owners of their own.
func TestSources_ReadAStreamEach(t *testing.T) {
	w := newCloudOf(t, ecssim.Config{StreamName: "events", StreamShards: 1})
	for i, sim := range w.all() {
		sim.AddInstances("prod", i+1)
	}
	ofStream := func(source string) string {
		return strings.ReplaceAll(source, "queue=blox_queue", "queue=kinesis://events")
	}
	sources := []string{ofStream(ownSource), ofStream(irishSource), ofStream(memberSource)}
	one, two := w.runSources(sources...).ready(), w.runSources(sources...).ready()
	change := func(replicas ...*css) {
		for _, sim := range w.all() {
			sim.AddInstances("prod", 1)
		}
		for _, c := range replicas {
			c.awaitServed(func() map[string]string { return w.stateOf(w.all()...) })
		}
	}
	change(one, two)
	groups := []string{"events", "eu-west-1:events", memberAccount + ":us-east-1:events"}
	for _, group := range groups {
		for _, prefix := range []string{"ecs/kinesis/", "ecs/lock/kinesis/"} {
			testenv.Eventually(t, func() bool { return w.countKeys(prefix+group+"/shardId") == 1 }, "%s%s", prefix, group)
		}
	}
	two.stop()
	change(one) // which now reads every shard
	for _, group := range groups {
		testenv.Eventually(t, func() bool { return w.countKeys("ecs/lock/kinesis/"+group+"/shardId") == 1 }, group)
	}
}

func (w *system) countKeys(prefix string) int64 {
	w.t.Helper()
	found, err := w.client.Get(w.t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(w.t, err)
	return found.Count
}

// hangRegion lets no call of AWS in a region end until restore, unless its client gives up.
func (w *cloud) hangRegion(region string) (hang, restore func()) {
	next := w.aws.Config.Handler
	var until atomic.Pointer[chan struct{}]
	w.aws.Config.Handler = http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		restored := until.Load()
		if restored == nil || !strings.Contains(r.Header.Get("Authorization"), "/"+region+"/") {
			next.ServeHTTP(to, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // so that the server notices when the client leaves
		select {
		case <-r.Context().Done():
		case <-*restored:
		}
		panic(http.ErrAbortHandler)
	})
	hang = func() { restored := make(chan struct{}); until.Store(&restored) }
	restore = func() { close(*until.Swap(nil)) }
	return hang, restore
}

// A region whose endpoints accept connections and never respond harms no other.
func TestSources_ARegionHangs(t *testing.T) {
	w := newCloud(t)
	hang, restore := w.hangRegion("eu-west-1")
	for i, sim := range w.all() {
		sim.AddInstances("prod", i+1)
	}
	c := w.run(testenv.FreeAddress(t), "", "--source", ownSource, "--source", irishSource, "--source", memberSource,
		"--reconcile-interval", "1s").ready()
	hang()
	missed := w.irish.AddInstances("prod", 1)
	before := w.stateOf(w.irish)
	delete(before, missed[0])
	for range 3 {
		added := append(w.sim.AddInstances("prod", 1), w.member.AddInstances("prod", 1)...)
		testenv.Eventually(t, func() bool {
			served := c.served()
			return served[added[0]] == "ACTIVE" && served[added[1]] == "ACTIVE"
		}, "the events of the others are not served")
	}
	assert.Subset(t, c.served(), before, "the last state of the region is served")

	// A change of attributes sends no event: only the reconciliations of the others show it.
	own := w.sim.Instances("prod")[0].ARN
	_, err := w.ecs().PutAttributes(t.Context(), &ecs.PutAttributesInput{
		Cluster: aws.String("prod"), Attributes: []types.Attribute{{Name: aws.String("stack"), TargetId: &own}},
	})
	require.NoError(t, err)
	testenv.Eventually(t, func() bool {
		_, body := c.get("/v1/instances/prod/" + own)
		return strings.Contains(body, `"name":"stack"`)
	}, "the others are not reconciled")
	theirs := w.member.Instances("prod")[0].ARN
	status, read := c.refresh(refreshBody(t, clusterIn("us-east-1", memberAccount, "prod"), theirs))
	assert.Equal(t, http.StatusOK, status, read)
	restore()
	testenv.Eventually(t, func() bool { return c.served()[missed[0]] == "ACTIVE" }, "the region does not recover")
}
