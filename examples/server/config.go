package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-e797c9ce/oauth"
	"github.com/seed-e797c9ce/oauth/examples/internal/site"
	"github.com/seed-e797c9ce/oauth/store"
)

// config is the file. What oauth.New checks itself is not checked here as well.
type config struct {
	Issuer string `json:"issuer"`
	// Store is memory, sqlite:FILE, or the URL of a database: postgres://,
	// mysql:// or redis://.
	Store     string            `json:"store"`
	Clients   []clientConfig    `json:"clients"`
	Users     []userConfig      `json:"users"`
	Scopes    map[string]string `json:"scopes"` // name: description
	Resources []resourceConfig  `json:"resources"`

	// In seconds. Absent: the library's defaults. A refresh_grace of 0 is none.
	CodeLifetime         int64  `json:"code_lifetime"`
	AccessTokenLifetime  int64  `json:"access_token_lifetime"`
	RefreshTokenLifetime int64  `json:"refresh_token_lifetime"`
	RefreshGrace         *int64 `json:"refresh_grace"`

	// Telemetry is where metrics and spans go: stderr, or nowhere if it is absent.
	Telemetry string `json:"telemetry"`

	// For unattended tests, with a loopback issuer only: who is signed in
	// without having been asked, and whether everything is consented to.
	AutoLogin   string `json:"auto_login"`
	AutoConsent bool   `json:"auto_consent"`
}

// clientConfig has the names of RFC 7591 §2, and with them client_id and
// client_secret.
type clientConfig struct {
	ID              string   `json:"client_id"`
	Secret          string   `json:"client_secret"`
	Name            string   `json:"client_name"`
	AuthMethod      string   `json:"token_endpoint_auth_method"`
	RedirectURIs    []string `json:"redirect_uris"`
	GrantTypes      []string `json:"grant_types"`
	ResponseTypes   []string `json:"response_types"`
	Scope           string   `json:"scope"` // separated by spaces; absent: all of the server's
	ApplicationType string   `json:"application_type"`
	URI             string   `json:"client_uri"`
	LogoURI         string   `json:"logo_uri"`
	PolicyURI       string   `json:"policy_uri"`
	TOSURI          string   `json:"tos_uri"`
	Contacts        []string `json:"contacts"`
}

type userConfig struct {
	Subject  string `json:"subject"`
	Username string `json:"username"`
	Password string `json:"password"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Active   *bool  `json:"active"` // absent: true
}

type resourceConfig struct {
	Identifier string   `json:"identifier"`
	Scopes     []string `json:"scopes"`
}

const maxConfig = 16 << 20 // bytes

func loadConfig(name string) (*config, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxConfig)
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func parseConfig(text []byte) (*config, error) {
	var c config
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, at(text, d.InputOffset(), err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, at(text, d.InputOffset(), errors.New("something follows the object"))
	}
	if c.Store == "" {
		c.Store = "memory"
	}
	return &c, errors.Join(c.checkUsers(), c.checkLifetimes(), c.checkAutomatic(), c.checkClients(), c.checkTelemetry())
}

// at adds the line.
func at(text []byte, offset int64, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n")), err)
}

func (c *config) checkUsers() error {
	var errs []error
	subjects, names := map[string]bool{}, map[string]bool{}
	for i, u := range c.Users {
		if u.Subject == "" || u.Username == "" || u.Password == "" {
			errs = append(errs, fmt.Errorf("users[%d]: subject, username and password are required", i))
		}
		if subjects[u.Subject] || names[u.Username] {
			errs = append(errs, fmt.Errorf("users[%d]: subject or username stands there twice", i))
		}
		subjects[u.Subject], names[u.Username] = true, true
	}
	if c.AutoLogin != "" && !subjects[c.AutoLogin] {
		errs = append(errs, errors.New("auto_login: none of the users has this subject"))
	}
	return errors.Join(errs...)
}

const maxSeconds = 100 * 365 * 24 * 3600

func (c *config) checkLifetimes() error {
	grace := int64(0)
	if c.RefreshGrace != nil {
		grace = *c.RefreshGrace
	}
	var errs []error
	for _, l := range []struct {
		key     string
		seconds int64
	}{
		{"code_lifetime", c.CodeLifetime}, {"access_token_lifetime", c.AccessTokenLifetime},
		{"refresh_token_lifetime", c.RefreshTokenLifetime}, {"refresh_grace", grace},
	} {
		if l.seconds < 0 || l.seconds > maxSeconds {
			errs = append(errs, fmt.Errorf("%s: must be 0 to %d seconds", l.key, maxSeconds))
		}
	}
	return errors.Join(errs...)
}

func (c *config) checkAutomatic() error {
	if c.AutoLogin == "" && !c.AutoConsent {
		return nil
	}
	if u, err := url.Parse(c.Issuer); err != nil || !loopback(u.Hostname()) {
		return errors.New("auto_login and auto_consent let anybody in: they are for issuers on a loopback address only")
	}
	return nil
}

func (c *config) checkTelemetry() error {
	if c.Telemetry != "" && c.Telemetry != "stderr" {
		return errors.New("telemetry: must be stderr, or absent")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loopbackAddr is where the issuer is, if that is http on a loopback address.
func (c *config) loopbackAddr() string {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Scheme != "http" || !loopback(u.Hostname()) {
		return ""
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}

func (c *config) checkClients() error {
	var errs []error
	seen := map[string]bool{}
	for i, x := range c.Clients {
		public := x.AuthMethod == "none"
		switch {
		case x.ID == "":
			errs = append(errs, fmt.Errorf("clients[%d]: client_id is required", i))
		case seen[x.ID]:
			errs = append(errs, fmt.Errorf("clients[%d]: client_id %q stands there twice", i, x.ID))
		case public && x.Secret != "":
			errs = append(errs, fmt.Errorf("clients[%d]: a public client (token_endpoint_auth_method none) has no client_secret", i))
		case !public && x.Secret == "":
			errs = append(errs, fmt.Errorf("clients[%d]: client_secret is required, or token_endpoint_auth_method none", i))
		}
		seen[x.ID] = true
	}
	return errors.Join(errs...)
}

func (c *config) policy() oauth.Policy {
	p := oauth.Policy{
		CodeLifetime:         time.Duration(c.CodeLifetime) * time.Second,
		AccessTokenLifetime:  time.Duration(c.AccessTokenLifetime) * time.Second,
		RefreshTokenLifetime: time.Duration(c.RefreshTokenLifetime) * time.Second,
	}
	if c.RefreshGrace != nil {
		p.RefreshGrace = time.Duration(*c.RefreshGrace) * time.Second
		if *c.RefreshGrace == 0 {
			p.RefreshGrace = oauth.NoGrace
		}
	}
	return p
}

func (c *config) users() []site.User {
	var list []site.User
	for _, u := range c.Users {
		list = append(list, site.User{
			Subject: u.Subject, Username: u.Username, Password: u.Password,
			Email: u.Email, Name: u.Name, Active: u.Active == nil || *u.Active,
		})
	}
	return list
}

func (c *config) resources() []oauth.Resource {
	var list []oauth.Resource
	for _, r := range c.Resources {
		list = append(list, oauth.Resource{URI: r.Identifier, Scopes: r.Scopes})
	}
	return list
}

// record is the client as the provider stores it, with the hash of its secret
// and the defaults of RFC 7591. scopes are those of a client that names none.
func (x clientConfig) record(scopes []string) (oauth.Client, error) {
	if x.Scope != "" {
		scopes = strings.Fields(x.Scope)
	}
	c := oauth.Client{
		ID: x.ID, Name: x.Name, Public: x.AuthMethod == "none", AuthMethod: x.AuthMethod,
		RedirectURIs: x.RedirectURIs, GrantTypes: x.GrantTypes, ResponseTypes: x.ResponseTypes,
		Scopes: scopes, Trust: store.TrustRegistered, ApplicationType: x.ApplicationType, URI: x.URI, LogoURI: x.LogoURI,
		PolicyURI: x.PolicyURI, TOSURI: x.TOSURI, Contacts: x.Contacts,
	}
	if c.GrantTypes == nil {
		c.GrantTypes = []string{"authorization_code", "refresh_token"}
	}
	if c.ResponseTypes == nil && slices.Contains(c.GrantTypes, "authorization_code") {
		c.ResponseTypes = []string{"code"}
	}
	if c.Public {
		return c, nil
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(x.Secret), bcrypt.DefaultCost)
	if err != nil {
		return oauth.Client{}, fmt.Errorf("client_secret: %w", err)
	}
	c.Secrets = []store.Secret{{Hash: string(hash)}}
	return c, nil
}
