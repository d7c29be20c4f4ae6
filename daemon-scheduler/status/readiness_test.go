package status

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/internal/testenv"
)

// A v0.3 cluster-state-service serves lists that an informer cannot use.
func TestStatus_ReportsAClusterStateServiceThatIsTooOld(t *testing.T) {
	css := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items":[]}`+"\n")
	}))
	defer css.Close()
	i, err := informer.New(informer.Config{Endpoints: []string{css.URL}, Log: testenv.Logger(t)})
	require.NoError(t, err)
	s := &Status{Config: Config{Cluster: clusterstate.New(i)}}
	assert.Equal(t, []string{"no data from cluster-state-service yet"}, s.clusterReasons())

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	testenv.Eventually(t, i.TooOld)
	cancel()
	require.NoError(t, <-ended)
	assert.Equal(t, []string{"cluster-state-service is too old, such as v0.3: upgrade it before daemon-scheduler"},
		s.clusterReasons())
}

// With a full etcd, the scheduler starts nothing, because it can announce nothing.
func TestReadiness_NamesAFullEtcd(t *testing.T) {
	const full = "etcd is out of space; nothing is started or changed until space is freed"
	client := testenv.Etcd(t)
	s, _ := newStatus(t, client, nil)
	assert.NotContains(t, s.Readiness(t.Context()).Reasons, full)

	members, err := client.MemberList(t.Context())
	require.NoError(t, err)
	_, err = etcdserverpb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: members.Members[0].ID,
	})
	require.NoError(t, err)
	testenv.Eventually(t, func() bool { return slices.Contains(s.Readiness(t.Context()).Reasons, full) })
}
