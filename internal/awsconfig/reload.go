package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// refusalInterval is the minimum time between two reloads that refusals cause. Credentials that AWS rejects for good
// cause no more calls of STS or of the metadata service than this.
const refusalInterval = 10 * time.Second

// refusedCredentials are the error codes of credentials that are expired, deleted or wrong. New ones may help. The
// codes differ by service and protocol.
var refusedCredentials = map[string]bool{
	"ExpiredToken":                true,
	"ExpiredTokenException":       true,
	"IncompleteSignature":         true,
	"InvalidAccessKeyId":          true,
	"InvalidClientTokenId":        true,
	"InvalidSignatureException":   true,
	"RequestExpired":              true,
	"SignatureDoesNotMatch":       true,
	"UnrecognizedClientException": true,
}

// reloading is a provider of credentials that finds them anew when a shared file changes, as `aws sso login` and tools
// that write ~/.aws/credentials do, or when AWS rejects them. If it finds none, for example in a file that is only half
// written, it keeps the previous ones. The SDK reads the files once only.
type reloading struct {
	find    func(context.Context) (aws.CredentialsProvider, error)
	files   []string // none for the credentials of a role
	current atomic.Pointer[aws.CredentialsProvider]
	refused atomic.Pointer[string] // Authorization header of a refused attempt

	token       chan struct{} // holds one token: the right to change current and the fields below
	reloaded    []os.FileInfo // of the files when they were read last; nil for a file that did not exist
	lastRefusal time.Time     // last reload that a refusal caused
}

func newReloading(
	found aws.CredentialsProvider, files []string, find func(context.Context) (aws.CredentialsProvider, error),
) *reloading {
	r := &reloading{find: find, files: files, token: make(chan struct{}, 1)}
	r.reloaded = stat(r.files)
	r.current.Store(&found)
	r.token <- struct{}{}
	return r
}

// sharedFiles returns the paths of the files that the SDK reads.
func sharedFiles() []string {
	files := []string{os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), os.Getenv("AWS_CONFIG_FILE")}
	for i, byDefault := range []string{config.DefaultSharedCredentialsFilename(), config.DefaultSharedConfigFilename()} {
		if files[i] == "" {
			files[i] = byDefault
		}
	}
	return files
}

func stat(files []string) []os.FileInfo {
	infos := make([]os.FileInfo, len(files))
	for i, file := range files {
		infos[i], _ = os.Stat(file)
	}
	return infos
}

// unchanged reports whether two infos are of the same version of a file.
func unchanged(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// Retrieve implements aws.CredentialsProvider. Clients call it for every attempt.
func (r *reloading) Retrieve(ctx context.Context) (aws.Credentials, error) {
	select {
	case <-r.token:
	case <-ctx.Done():
		return aws.Credentials{}, context.Cause(ctx)
	}
	r.reloadIfNeeded(ctx)
	provider := *r.current.Load()
	r.token <- struct{}{}
	return provider.Retrieve(ctx)
}

// reloadIfNeeded replaces the provider if that is needed and the new one finds credentials. The caller holds the token.
func (r *reloading) reloadIfNeeded(ctx context.Context) {
	now := stat(r.files)
	if slices.EqualFunc(now, r.reloaded, unchanged) && !r.isRefused(ctx) {
		return
	}
	next, err := r.find(ctx)
	if err == nil {
		_, err = next.Retrieve(ctx)
	}
	if ctx.Err() == nil {
		r.reloaded = now
	}
	if err == nil {
		r.current.Store(&next)
	}
}

// isRefused reports whether AWS refused the current credentials and a reload is due.
func (r *reloading) isRefused(ctx context.Context) bool {
	authorization := r.refused.Load()
	if authorization == nil || time.Since(r.lastRefusal) < refusalInterval {
		return false
	}
	r.refused.Store(nil)
	used, err := (*r.current.Load()).Retrieve(ctx)
	if err != nil || !strings.Contains(*authorization, "Credential="+used.AccessKeyID+"/") {
		return false // those of the refused attempt were replaced meanwhile
	}
	r.lastRefusal = time.Now()
	return true
}

// watch adds a middleware to a client that notices refused credentials.
func (r *reloading) watch(stack *middleware.Stack) error {
	id := fmt.Sprintf("BloxRefusedCredentials-%p", r) // a client of a role has one for the credentials that assume it, too
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc(id, func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		var api smithy.APIError
		if request, ok := in.Request.(*smithyhttp.Request); ok && errors.As(err, &api) &&
			refusedCredentials[api.ErrorCode()] {
			authorization := request.Header.Get("Authorization")
			r.refused.Store(&authorization)
		}
		return out, metadata, err
	}), middleware.Before)
}
