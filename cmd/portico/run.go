package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	restclient "k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/aggregator"
	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/authentication"
	"github.com/portico-api/portico/handler/authorization"
	"github.com/portico-api/portico/metrics"
	"github.com/portico-api/portico/serving"
)

// run serves the chain until ctx ends: options → what every unit shares → extensions → core →
// aggregator → PrepareRun → Run. What it tells whoever has started it goes to out, or to errOut when out is for audit events.
func run(ctx context.Context, o *options, out, errOut io.Writer) (err error) {
	// The port first: whoever starts a second one by mistake is told so, and nothing was touched.
	listener, err := serving.Listen(o.bindAddress, o.securePort)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		return fmt.Errorf("--data-dir must be a directory of this user: %w", err)
	}
	manifests, err := o.manifests()
	if err != nil {
		return err
	}
	m := metrics.New()
	// The store next: it locks the data directory, in which everything else is written.
	store, err := o.store.open(ctx, o.dataDir, m.Storage)
	if err != nil {
		return err
	}
	front, id, err := build(ctx, o, out, listener, store, m, manifests)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	running, err := front.PrepareRun().NonBlockingRun(controller.WithInstruments(ctx, m.Workqueues))
	if err != nil {
		return err
	}
	words := out
	if o.audit.takesOut() {
		words = errOut // who reads events from out wants nothing else there
	}
	if err := tellWhatToDoNext(words, o, id, localURL(listener)); err != nil {
		klog.FromContext(ctx).Error(err, "Telling how to reach the server")
	}
	go returnMemory(ctx)
	go tellOfTheEnd(ctx, words, running.Ended())
	return running.Wait()
}

// build makes the chain on an open store, and what belongs to the process and not to a unit.
func build(ctx context.Context, o *options, out io.Writer, listener net.Listener, store *storage.Store, m *metrics.Metrics, manifests []manifest) (*aggregator.Server, *identity, error) {
	id, err := newIdentity(o)
	if err != nil {
		return nil, nil, err
	}
	id.show(m.Certificates)
	rbac := authorization.NewRBAC()
	authorizer, err := newAuthorizer(o, rbac, m)
	if err != nil {
		return nil, nil, err
	}
	accounts, err := o.tokens.newAccounts(id.pki.ServiceAccount.KeyFile, externalAddress(o, listener), m.Authentication)
	if err != nil {
		return nil, nil, err
	}
	if o.bootstrapTokenAuth {
		accounts.joining = &lateTokens{}
	}
	generic, err := newGenericConfig(o, id, accounts, listener, m)
	if err != nil {
		return nil, nil, err
	}
	generic.Authorizer = authorizer
	traces, err := newTracing(ctx, o.tracingConfigFile, listener.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	generic.Tracer = traces.tracer()
	auditor, err := o.audit.auditor(ctx, out, m.Audit)
	if err != nil {
		return nil, nil, err
	}
	if auditor != nil { // a nil pointer would not be a nil interface
		generic.Auditor = auditor
	}
	signs, err := o.signing.authority(id)
	if err != nil {
		return nil, nil, err
	}
	replica := core.Replica{Host: hostName(), Address: listener.Addr().String()}
	leads := store.NewLeadership("controllers", replica.Host+"_"+uuid.NewString()) // for who looks into the cluster
	front, err := CreateServerChain(ctx, generic, parts{
		store: store, rbac: rbac, rules: authorizer, identity: id, accounts: accounts, signs: signs, leads: leads, replica: replica,
		eventTTL: o.eventTTL, collect: o.garbageCollector, workload: o.workloadAPIs,
	})
	if err != nil {
		return nil, nil, err
	}
	if leads != nil {
		if err := front.AddController("leader-election", leads.Run); err != nil {
			return nil, nil, err
		}
	}
	if len(manifests) > 0 {
		a, err := newApplier(manifests, generic.LoopbackClientConfig)
		if err != nil {
			return nil, nil, err
		}
		if err := front.AddController("apply-manifests", a.run); err != nil {
			return nil, nil, err
		}
	}
	if err := finish(front.GenericAPIServer, &o.store, store, id, localURL(listener)); err != nil {
		return nil, nil, err
	}
	if err := front.AddDestroyFunc("traces", traces.close); err != nil {
		return nil, nil, err
	}
	return front, id, runAuditor(ctx, auditor, front.GenericAPIServer)
}

// hostName tells replicas on different machines apart.
func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// newGenericConfig is what all units share, but for the authorizer.
func newGenericConfig(o *options, id *identity, a *accounts, listener net.Listener, m *metrics.Metrics) (*delegation.Config, error) {
	loopbackToken := uuid.NewString()
	authn, err := newAuthenticator(o, id, a, loopbackToken, m)
	if err != nil {
		return nil, err
	}
	secure, err := newServing(o, id, listener, m)
	if err != nil {
		return nil, err
	}
	generic := delegation.NewConfig(m)
	generic.Serving = secure
	generic.Authenticator = authn
	generic.IdentityHeaders = slices.Concat(o.requestHeaderUsername, o.requestHeaderUID, o.requestHeaderGroup)
	generic.IdentityHeaderPrefixes = o.requestHeaderExtraPrefix
	generic.ExternalAddress = externalAddress(o, listener)
	generic.LoopbackClientConfig = loopbackClientConfig(listener, id, loopbackToken)
	generic.RequestTimeout = o.requestTimeout
	generic.MinRequestTimeout = time.Duration(o.minRequestTimeout) * time.Second
	generic.MaxRequestsInFlight = o.maxRequestsInFlight
	generic.MaxMutatingRequestsInFlight = o.maxMutatingRequestsInFlight
	generic.ShutdownDelayDuration = o.shutdownDelay
	generic.ShutdownWatchTerminationGracePeriod = o.shutdownWatchGrace
	generic.LivezGracePeriod = o.livezGrace
	generic.EnableProfiling = o.profiling
	generic.LongRunning = isLongRunning
	generic.Version = versionInfo()
	generic.UserAgent = userAgent()
	generic.Flags = o.given
	return generic, nil
}

func newAuthenticator(o *options, id *identity, accounts *accounts, loopbackToken string, m *metrics.Metrics) (authenticator.Request, error) {
	var joining authenticator.Token
	if accounts.joining != nil {
		joining = accounts.joining
	}
	a, err := authentication.New(authentication.Config{
		ClientCA: id.clientCA,
		RequestHeader: authentication.RequestHeader{
			CA:                  id.requestHeaderCA,
			AllowedNames:        o.requestHeaderNames,
			UsernameHeaders:     o.requestHeaderUsername,
			UIDHeaders:          o.requestHeaderUID,
			GroupHeaders:        o.requestHeaderGroup,
			ExtraHeaderPrefixes: o.requestHeaderExtraPrefix,
		},
		TokenFile:     o.tokenAuthFile,
		Audiences:     accounts.tokens.Audiences,
		LoopbackToken: loopbackToken,

		ServiceAccounts: accounts.verifier,
		BootstrapTokens: joining,
		Anonymous:       o.anonymousAuth,
		Metrics:         m.Authentication,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing authentication (--token-auth-file, --requestheader-…): %w", err)
	}
	return a, nil
}

func newAuthorizer(o *options, rbac *authorization.RBAC, m *metrics.Metrics) (*authorization.Authorizer, error) {
	modes := make([]authorization.Mode, len(o.authorizationModes))
	for i, mode := range o.authorizationModes {
		modes[i] = authorization.Mode(mode)
	}
	authorizer, err := authorization.New(authorization.Config{Modes: modes, RBAC: rbac, Metrics: m.Authorization})
	if err != nil {
		return nil, fmt.Errorf("--authorization-mode: %w", err)
	}
	return authorizer, nil
}

func newServing(o *options, id *identity, listener net.Listener, m *metrics.Metrics) (*serving.SecureServingInfo, error) {
	suites, err := o.cipherSuites()
	if err != nil {
		return nil, err
	}
	return &serving.SecureServingInfo{
		Listener:                     listener,
		Cert:                         id.serving,
		ClientCAs:                    []serving.CABundle{id.clientCA, id.requestHeaderCA},
		MinTLSVersion:                tlsVersions[o.tlsMinVersion],
		CipherSuites:                 suites,
		DisableHTTP2:                 o.disableHTTP2,
		HTTP2MaxStreamsPerConnection: o.http2MaxStreams,
		ConnContext:                  authentication.WithConnection,
		OnHandshakeError:             m.Requests.TLSHandshakeError,
		Logger:                       klog.Background(),
	}, nil
}

// loopbackClientConfig is for clients inside this process, which are system:apiserver.
func loopbackClientConfig(listener net.Listener, id *identity, token string) *restclient.Config {
	_, ca := id.servingCA.Bundle()
	return &restclient.Config{
		Host:            localURL(listener),
		BearerToken:     token,
		TLSClientConfig: restclient.TLSClientConfig{CAData: ca},
		QPS:             -1, // our own work is not to be slowed down
	}
}

// localURL is where clients on this machine reach the server.
func localURL(listener net.Listener) string { return "https://" + reachable(listener.Addr()) }

// externalAddress is what discovery tells clients of the server's place.
func externalAddress(o *options, listener net.Listener) string {
	address := reachable(listener.Addr())
	if o.externalHostname == "" {
		return address
	}
	_, port, _ := net.SplitHostPort(address) // reachable has joined them
	return net.JoinHostPort(o.externalHostname, port)
}

// reachable is where this machine reaches a listener, which may be on all addresses.
func reachable(addr net.Addr) string {
	tcp := addr.(*net.TCPAddr)
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// finish adds to the front what belongs to the process and not to a unit.
func finish(front *delegation.GenericAPIServer, o *storeOptions, store *storage.Store, id *identity, url string) error {
	front.Handler.NonGoRestfulMux.Update(func(p *handler.Paths) {
		p.UnlistedHandle(snapshotPath, serveSnapshot(store))
	})
	return errors.Join(
		o.healthChecks(front, store),
		front.AddLivezChecks(id.healthChecks()...),
		front.AddController("certificate-reload", func(ctx context.Context, started func()) error {
			started()
			return id.run(ctx, url)
		}),
		front.AddDestroyFunc("store", store.Close),
	)
}

// tellWhatToDoNext prints where the server is and how to use it.
func tellWhatToDoNext(out io.Writer, o *options, id *identity, url string) error {
	kubeconfig, err := id.writeKubeconfig(url)
	if err != nil {
		return err
	}
	if absolute, err := filepath.Abs(kubeconfig); kubeconfig != "" && err == nil {
		kubeconfig = absolute // what is exported must hold in any directory
	}
	fmt.Fprintf(out, "Portico %s serves on %s\n", version, url)
	if kubeconfig == "" {
		fmt.Fprintf(out, "\nUsers have certificates of the authorities in %s.\n", o.clientCAFile)
		return nil
	}
	fmt.Fprintf(out, `
Use it from another terminal:

    export KUBECONFIG=%s
    kubectl get namespaces

Ctrl-C finishes what is in flight and stops; a second one stops at once.
`, kubeconfig)
	return nil
}

// tellOfTheEnd says that a signal was understood: what is in flight may take a while.
func tellOfTheEnd(ctx context.Context, out io.Writer, ended <-chan struct{}) {
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nStopping: what is in flight is finished first. Ctrl-C again stops at once.")
	case <-ended:
	}
}
