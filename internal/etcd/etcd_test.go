package etcd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestValidateEndpoints_RejectsMalformedOnes(t *testing.T) {
	for _, good := range [][]string{
		{"localhost:2379"},
		{"http://etcd:2379"},
		{"https://etcd.example.com:2379", "https://10.0.0.1:2379"},
		{"10.0.0.1:2379", "http://[::1]:2379"},
	} {
		assert.NoError(t, ValidateEndpoints(good), "%q", good)
	}
	for want, bad := range map[string][]string{
		"no etcd endpoint":                                         nil,
		`"": must be host:port`:                                    {""},
		`"etcd": must be host:port`:                                {"etcd"},
		`"::1:2379": must be host:port`:                            {"::1:2379"},
		`":2379": "" is not a host`:                                {":2379"},
		`"a b:2379": "a b" is not a host`:                          {"a b:2379"},
		`"xxxxx@etcd:2379": "xxxxx@etcd" is not a host`:            {"me@etcd:2379"},
		`"etcd/x:2379": "etcd/x" is not a host`:                    {"etcd/x:2379"},
		`"etcd:client": the port must be 1 to 65535`:               {"etcd:client"},
		`"http://etcd:0": the port must be 1 to 65535`:             {"http://etcd:0"},
		`"http://etcd:2379/": the port must be 1 to 65535`:         {"http://etcd:2379/"},
		`"etcd:65536": the port must be 1 to 65535`:                {"etcd:65536"},
		`"unix:///run/etcd": the scheme must be`:                   {"unix:///run/etcd"},
		"some are https and some are not":                          {"https://a:2379", "http://b:2379"},
		"etcd endpoint \"b\": must be host:port":                   {"a", "b"},
		"etcd endpoint \"a\": must be host:port\netcd endpoint \"": {"a", "b"},
	} {
		assert.ErrorContains(t, ValidateEndpoints(bad), want, "%q", bad)
	}
}

func TestNew_DoesNotConnect(t *testing.T) {
	client, err := New(Config{Endpoints: []string{"192.0.2.1:2379"}}, nil) // an address reserved for documentation
	require.NoError(t, err)
	assert.Equal(t, []string{"192.0.2.1:2379"}, client.Endpoints())
	assert.NoError(t, client.Close())
}

func TestNew_RejectsInvalidEndpoints(t *testing.T) {
	_, err := New(Config{}, nil)
	assert.EqualError(t, err, "no etcd endpoint")
}

// The etcd client accepts every list that ValidateEndpoints accepts, and no message shows a password.
func FuzzValidateEndpoints_HidesPasswords(f *testing.F) {
	for _, seed := range []string{
		"localhost:2379", "http://etcd:2379,10.0.0.1:1", "https://[::1]:2379", "[fe80::1%25eth0]:1", "unix:///x", "a:1,b:x",
		"é:1", "a\x00:1", ",", "127.1:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		const password = "Hunter:2"
		if err := ValidateEndpoints([]string{
			"me:" + password + "@" + list,
		}); err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", list, err)
		}
		endpoints := strings.Split(list, ",")
		if ValidateEndpoints(endpoints) != nil {
			return
		}
		if strings.HasPrefix(endpoints[0], "https://") {
			for i, e := range endpoints { // the rest of New reads files
				endpoints[i] = "http" + strings.TrimPrefix(e, "https")
			}
		}
		client, err := New(Config{Endpoints: endpoints}, nil)
		if err != nil {
			t.Fatalf("%q: accepted, and then %v", list, err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("%q: %v", list, err)
		}
	})
}
