package redisstore

import _ "embed" // of the scripts

//go:embed lua/lib.lua
var lib string

//go:embed lua/create.lua
var createSource string

//go:embed lua/update.lua
var updateSource string

//go:embed lua/consume.lua
var consumeSource string

//go:embed lua/revoke_one.lua
var revokeOneSource string

//go:embed lua/revoke_many.lua
var revokeManySource string

//go:embed lua/list.lua
var listSource string

//go:embed lua/delete_client.lua
var deleteClientSource string

//go:embed lua/purge.lua
var purgeSource string

//go:embed lua/grant.lua
var grantSource string

//go:embed lua/consents.lua
var consentsSource string

//go:embed lua/revoke_consent.lua
var revokeConsentSource string

//go:embed lua/revoke_consents.lua
var revokeConsentsSource string

// The scripts; their arguments are described at the top of each file.
var (
	create         = newScript(lib+createSource, true)
	update         = newScript(lib+updateSource, true)
	consume        = newScript(consumeSource, true)
	revokeOne      = newScript(lib+revokeOneSource, true)
	revokeMany     = newScript(lib+revokeManySource, true)
	list           = newScript(listSource, false)
	deleteClient   = newScript(deleteClientSource, true)
	purge          = newScript(lib+purgeSource, true)
	grant          = newScript(grantSource, true)
	consents       = newScript(consentsSource, false)
	revokeConsent  = newScript(revokeConsentSource, true)
	revokeConsents = newScript(lib+revokeConsentsSource, true)
)
