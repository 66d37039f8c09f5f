"""Purposes that a notice, a licence and a question may name: terms of the W3C Data Privacy Vocabulary.

`DPV` holds the names and broader terms of the purposes in DPV 2.2 (https://w3id.org/dpv, module
`purposes`), without its definitions; `RightsFulfilment` stands at the top, since what DPV names as its
broader term is no purpose. `OWN` adds what no vocabulary names: what nobody may do.

This software includes material derived from "Data Privacy Vocabulary (DPV) Specification", version
2.2, https://w3id.org/dpv. Copyright © 2025 the Contributors to the Data Privacy Vocabulary (DPV)
Specification and World Wide Web Consortium, https://www.w3.org/copyright/software-license-2023/.
Changed: reduced to names and hierarchy, put in Python. The notice in full is beside this file, in
`DPV-NOTICE.txt`.
"""

from __future__ import annotations

VERSION = "2.2"
"""Version of the vocabulary."""

_DPV = """
AcademicResearch < ResearchAndDevelopment
AccountManagement
Advertising < Marketing
AgeVerification < Verification
CombatClimateChange < PublicBenefit
CommercialPurpose
CommercialResearch < CommercialPurpose ResearchAndDevelopment
CommunicationForCustomerCare < CommunicationManagement CustomerCare
CommunicationManagement
CounterMoneyLaundering < FraudPreventionAndDetection
Counterterrorism < PublicBenefit
CustomerCare < CustomerManagement
CustomerClaimsManagement < CustomerManagement
CustomerManagement
CustomerOrderManagement < CustomerManagement
CustomerRelationshipManagement < CustomerManagement
CustomerSolvencyMonitoring < CustomerManagement
DataAltruism < PublicBenefit
DeliveryOfGoods < RequestedServiceProvision
DirectMarketing < Marketing
DisputeManagement < OrganisationGovernance
EnforceAccessControl < EnforceSecurity
EnforceSecurity
EstablishContractualAgreement
FraudPreventionAndDetection < MisusePreventionAndDetection
FulfilmentOfContractualObligation < FulfilmentOfObligation
FulfilmentOfObligation
HumanResourceManagement
IdentityAuthentication < EnforceSecurity
IdentityVerification < Verification
ImproveExistingProductsAndServices < OptimisationForController
ImproveHealthcare < PublicBenefit
ImproveInternalCRMProcesses < CustomerRelationshipManagement OptimisationForController
ImprovePublicServices < PublicBenefit
ImproveTransportMobility < PublicBenefit
IncreaseServiceRobustness < OptimisationForController
InternalResourceOptimisation < OptimisationForController
LegalCompliance < FulfilmentOfObligation
MaintainFraudDatabase < FraudPreventionAndDetection
Marketing
MemberPartnerManagement < OrganisationGovernance
MisusePreventionAndDetection < EnforceSecurity
NonCommercialPurpose
NonCommercialResearch < NonCommercialPurpose ResearchAndDevelopment
OptimisationForConsumer < ServiceOptimisation
OptimisationForController < ServiceOptimisation
OptimiseUserInterface < OptimisationForConsumer
OrganisationComplianceManagement < OrganisationGovernance
OrganisationGovernance
OrganisationRiskManagement < OrganisationGovernance
PaymentManagement < ServiceProvision
Personalisation
PersonalisedAdvertising < Advertising Personalisation
PersonalisedBenefits < ServicePersonalisation
PersonnelBehaviourMonitoring < PersonnelMonitoring
PersonnelHiring < PersonnelManagement
PersonnelManagement < HumanResourceManagement
PersonnelMonitoring < PersonnelManagement
PersonnelOffboarding < PersonnelManagement
PersonnelOnboarding < PersonnelHiring
PersonnelPayment < PersonnelManagement
PersonnelPerformanceEvaluation < PersonnelPerformanceManagement
PersonnelPerformanceManagement < PersonnelManagement PersonnelMonitoring
PersonnelPerformanceMonitoring < PersonnelMonitoring PersonnelPerformanceManagement
PersonnelPerformancePrediction < PersonnelPerformanceManagement
PersonnelPromotionManagement < PersonnelManagement
PersonnelTerminationManagement < PersonnelManagement
PersonnelWorkloadManagement < PersonnelManagement
PoliticalCampaign < Advertising Personalisation
ProtectionOfIPR < FulfilmentOfObligation
ProtectionOfNationalSecurity < PublicBenefit
ProtectionOfPublicSecurity < PublicBenefit
ProvideEventRecommendations < ProvidePersonalisedRecommendations
ProvideOfficialStatistics < PublicBenefit
ProvidePersonalisedRecommendations < ServicePersonalisation
ProvideProductRecommendations < ProvidePersonalisedRecommendations
PublicBenefit
PublicPolicyMaking < PublicBenefit
PublicRelations < Marketing
RecordManagement
RecruitmentAdvertising < Advertising PersonnelHiring
RecruitmentApplicantBackgroundCheck < RecruitmentManagement
RecruitmentApplicantCriminalBackgroundCheck < RecruitmentManagement
RecruitmentApplicantInformationAuthentication < RecruitmentManagement
RecruitmentApplicantSelection < RecruitmentManagement
RecruitmentApplicationAnalysis < RecruitmentApplicationManagement
RecruitmentApplicationManagement < RecruitmentManagement
RecruitmentApplicationScreening < RecruitmentApplicationManagement
RecruitmentInterviewAnalysis < RecruitmentInterviewManagement
RecruitmentInterviewAssessment < RecruitmentInterviewManagement
RecruitmentInterviewManagement < RecruitmentManagement
RecruitmentInterviewScheduling < RecruitmentInterviewManagement
RecruitmentManagement < PersonnelHiring
RecruitmentTargetedAdvertising < RecruitmentAdvertising TargetedAdvertising
RepairImpairments < ServiceProvision
RequestedServiceProvision < ServiceProvision
ResearchAndDevelopment
RightsFulfilment
ScientificResearch < ResearchAndDevelopment
SearchFunctionalities < ServiceProvision
SellDataToThirdParties < SellProducts
SellInsightsFromData < SellProducts
SellProducts < ServiceProvision
SellProductsToDataSubject < SellProducts
ServiceOptimisation < ServiceProvision
ServicePersonalisation < Personalisation ServiceProvision
ServiceProvision
ServiceRegistration < ServiceProvision
ServiceUsageAnalytics < ServiceProvision
SocialMediaMarketing < Marketing
TargetedAdvertising < PersonalisedAdvertising
TechnicalServiceProvision < ServiceProvision
UserInterfacePersonalisation < ServicePersonalisation
VendorManagement
VendorPayment < VendorManagement
VendorRecordsManagement < VendorManagement
VendorSelectionAssessment < VendorManagement
Verification < EnforceSecurity
"""


def _read(lines: str) -> dict[str, tuple[str, ...]]:
    pairs = (line.partition(" < ") for line in lines.split("\n") if line)
    return {f"dpv:{name}": tuple(f"dpv:{term}" for term in broader.split()) for name, _, broader in pairs}


DPV = _read(_DPV)
"""Broader terms by term. The top, `dpv:Purpose`, says nothing and is left out."""

OWN = {
    "passersby:ReIdentification": (),
    "passersby:OnwardTransferOfUnitRecords": (),
    "passersby:InferenceOfSensitiveTraits": (),
    "passersby:EnforcementAgainstIndividuals": (),
    "passersby:ImmigrationEnforcement": ("passersby:EnforcementAgainstIndividuals",),
}
"""What nobody may do, in the same form."""

BROADER = DPV | OWN
"""Every known purpose with its broader terms."""

PROHIBITED = frozenset(
    {
        "passersby:ReIdentification",
        "dpv:IdentityAuthentication",
        "dpv:IdentityVerification",
        "dpv:TargetedAdvertising",
        "passersby:OnwardTransferOfUnitRecords",
        "dpv:SellDataToThirdParties",
        "passersby:InferenceOfSensitiveTraits",
        "dpv:PoliticalCampaign",
        "passersby:EnforcementAgainstIndividuals",
        "dpv:PersonnelMonitoring",
        "dpv:RecruitmentApplicantBackgroundCheck",
        "dpv:RecruitmentApplicantCriminalBackgroundCheck",
    }
)
"""Purposes that no licence can allow, with all that is narrower. The Cedar policies list the same ones."""


def lineage(purpose: str) -> frozenset[str]:
    """Return the purpose and every broader one; the purpose alone where it is unknown."""
    found = {purpose}
    for broader in BROADER.get(purpose, ()):
        found |= lineage(broader)
    return frozenset(found)


def is_prohibited(purpose: str) -> bool:
    """Tell whether the purpose, or a broader one, is prohibited for every licence."""
    return not PROHIBITED.isdisjoint(lineage(purpose))
