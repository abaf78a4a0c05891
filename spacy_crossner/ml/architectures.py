"""The architectures that need torch and transformers, under the names that configs use."""

from spacy import registry

from spacy_crossner.ml.versions import check_versions

# before the imports that fail where the versions do not fit
check_versions()

from spacy_crossner.ml.encoder import Tok2VecTransformer, TransformerModel  # noqa: E402

registry.architectures.register("spacy-crossner.TransformerModel.v1", func=TransformerModel)
registry.architectures.register("spacy-crossner.Tok2VecTransformer.v1", func=Tok2VecTransformer)
